"""What clients must find the same under either broker of a directory: topic ids (K13), features (K12), the cluster (K15), settings (K14)."""
import re

from harness import scenario
from raw import *


@scenario()
def sessions_speak_by_topic_id_or_by_name_and_a_topic_made_anew_has_another_id(t):
    """K13."""
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        old = c.metadata([t.name])[t.name][1]
        never = "5" * 32
        error, session, rows = c.fetch_session(13, 0, 0, {old: [0], never: [0]})
        assert error == 0 and session > 0 and rows == {old: {0: 0}, never: {0: UNKNOWN_TOPIC_ID}}, (error, session, rows)
        assert c.fetch_session(12, session, 1, {t.name: [0]})[0] == FETCH_SESSION_TOPIC_ID_ERROR, "begun with ids, continued by name"
        error, named, rows = c.fetch_session(12, 0, 0, {t.name: [0]})
        assert error == 0 and named > 0 and rows == {t.name: {0: 0}}, (error, rows)
        assert c.fetch_session(13, named, 1, {old: [0]})[0] == FETCH_SESSION_TOPIC_ID_ERROR, "begun by name, continued with ids"

        error, session, rows = c.fetch_session(13, 0, 0, {old: [0]})
        assert rows == {old: {0: 0}}
        t.tool("kafka-topics", "--delete", "--topic", t.name)
        until(lambda: c.metadata([t.name])[t.name][0] == UNKNOWN_TOPIC_OR_PARTITION, "the topic to go")
        assert c.create_topic(t.name) == 0
        new = c.metadata([t.name])[t.name][1]
        assert new != old and c.placements[t.name][0][0] == 0, "a new id, and leader epoch 0"
        error, _, rows = c.fetch_session(13, session, 1, {})
        assert error == 0 and rows == {old: {0: UNKNOWN_TOPIC_ID}}, (error, rows)


@scenario()
def the_features_epoch_is_there_and_never_falls(t):
    """K12: with none, or a smaller one, Java clients ignore what the broker has finalized."""
    broker, epochs = t.new_broker(), []
    for end in (broker.stop, broker.kill, broker.stop):
        with broker.connect() as c:
            for i in range(2):
                epochs.append(c.features_epoch())
                assert c.create_topic(f"t{len(epochs)}") == 0
        end()
        broker.start()
    assert epochs[0] >= 0 and epochs == sorted(epochs), epochs


@scenario()
def a_cluster_of_one_looks_as_kafkas(t):
    """K15."""
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        c.metadata([t.name])
        (node,) = c.nodes
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", c.cluster_id), c.cluster_id
        assert c.controller == node[0] and node[3] is None, "the one node is the controller; it has no rack"
        assert c.placements[t.name][0][1:] == ([node[0]], [node[0]], []), "one replica, in sync: the disk is never shown as one"
        assert not {71, 72} & c.api_versions().keys(), "telemetry is answered, but not listed"


@scenario(target="odradek")
def durability_is_a_default_here_and_does_not_travel(t):
    """K14."""
    broker, command = t.new_broker(), t.run.command
    shown = lambda: t.tools.run("kafka-configs", "--bootstrap-server", broker.bootstrap, "--describe", "--all", "--entity-type", "topics", "--entity-name", "t")
    with broker.connect() as c:
        assert c.create_topic("t") == 0
    assert "flush.messages=1 sensitive=false synonyms={DEFAULT_CONFIG:log.flush.interval.messages=1}" in shown(), shown()
    broker.stop()
    broker.become("kafka", None)
    broker.start()
    assert "flush.messages=9223372036854775807 sensitive=false" in shown(), shown()
