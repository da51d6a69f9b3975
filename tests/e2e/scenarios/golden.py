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


@scenario()
def every_api_of_a_days_work_is_served_in_kafkas_versions(t):
    served = {0: (0, 13), 1: (4, 18), 2: (1, 11), 3: (0, 13), 8: (2, 10), 9: (1, 10), 10: (0, 6), 11: (0, 9), 12: (0, 4), 13: (0, 5),
              14: (0, 5), 15: (0, 6), 16: (0, 5), 18: (0, 4), 19: (2, 7), 20: (1, 6), 21: (0, 2), 22: (0, 5), 23: (2, 4), 32: (1, 4),
              33: (0, 2), 35: (1, 5), 37: (0, 3), 42: (0, 2), 44: (0, 1), 46: (0, 0), 47: (0, 0), 60: (0, 2), 74: (0, 1), 75: (0, 0)}
    with t.broker.connect() as c:
        offered = c.api_versions()
    missing = {api: (versions, offered.get(api)) for api, versions in served.items() if offered.get(api) != versions}
    assert not missing, f"API: (Kafka 4.3.1, here): {missing}"
