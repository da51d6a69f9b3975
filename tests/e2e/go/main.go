// franz-go, to the contract of clients/payload.py: franz-go BOOTSTRAP TOPIC GROUP
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const count = 40

var codecs = []struct {
	name  string
	codec kgo.CompressionCodec
}{
	{"none", kgo.NoCompression()}, {"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()},
	{"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()},
}

var levels = []struct {
	name string
	acks kgo.Acks
}{{"0", kgo.NoAck()}, {"1", kgo.LeaderAck()}, {"all", kgo.AllISRAcks()}}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func text(b []byte) string {
	if b == nil {
		return "-"
	}
	return "x" + hex.EncodeToString(b)
}

func records(topic, tag string) []*kgo.Record {
	var out []*kgo.Record
	for i := 0; i < count; i++ {
		r := &kgo.Record{Topic: topic}
		if i%19 != 5 {
			r.Key = []byte(fmt.Sprintf("%s/%d", tag, i))
		}
		if i%17 != 3 {
			r.Value = []byte(fmt.Sprintf("%s/%d:", tag, i))
			for j := 0; j < i*13%400; j++ {
				r.Value = append(r.Value, byte(i*31+j))
			}
		}
		if i%5 == 0 {
			r.Headers = []kgo.RecordHeader{{Key: "n", Value: []byte(fmt.Sprint(i))}, {Key: "empty", Value: []byte{}}}
		}
		out = append(out, r)
	}
	return out
}

func drain(ctx context.Context, how string, total int, options ...kgo.Opt) {
	client, err := kgo.NewClient(append(options, kgo.ConsumeTopics(os.Args[2]), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	check(err)
	for total > 0 {
		fetches := client.PollFetches(ctx)
		check(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			var headers []string
			for _, h := range r.Headers {
				headers = append(headers, h.Key+"="+text(h.Value))
			}
			if headers == nil {
				headers = []string{"-"}
			}
			fmt.Println(how, r.Partition, r.Offset, text(r.Key), text(r.Value), strings.Join(headers, ","))
			total--
		})
	}
	if how == "group" {
		check(client.CommitUncommittedOffsets(ctx))
	}
	client.Close()
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	seeds := kgo.SeedBrokers(os.Args[1])
	for _, c := range codecs {
		for _, l := range levels {
			options := []kgo.Opt{seeds, kgo.ProducerBatchCompression(c.codec), kgo.RequiredAcks(l.acks)}
			if l.name != "all" {
				options = append(options, kgo.DisableIdempotentWrite())
			}
			client, err := kgo.NewClient(options...)
			check(err)
			check(client.ProduceSync(ctx, records(os.Args[2], c.name+"/"+l.name)...).FirstErr())
			client.Close()
		}
	}
	total := len(codecs) * len(levels) * count
	drain(ctx, "offset", total, seeds)
	drain(ctx, "group", total, seeds, kgo.ConsumerGroup(os.Args[3]), kgo.DisableAutoCommit())
}
