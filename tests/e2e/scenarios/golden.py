"""What Kafka's tools print here is what they print against Apache Kafka."""
import transcript
from harness import HERE, scenario


def says_the_same(t, name):
    transcript.compare(HERE / "golden" / f"{name}.txt", t.new_broker(), t.tools)


@scenario()
def kafka_topics_prints_what_it_prints_against_kafka(t): says_the_same(t, "topics")


@scenario()
def kafka_configs_prints_what_it_prints_against_kafka(t): says_the_same(t, "configs")


@scenario()
def console_clients_and_record_tools_print_what_they_print_against_kafka(t): says_the_same(t, "records")


@scenario()
def kafka_consumer_groups_prints_what_it_prints_against_kafka(t): says_the_same(t, "groups")


@scenario()
def kafka_broker_api_versions_prints_what_it_prints_against_kafka(t): says_the_same(t, "api-versions")
