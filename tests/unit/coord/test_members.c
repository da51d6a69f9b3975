/* Classic groups: joining, syncing, heartbeats, leaving, expiry, static members, and every error on the way. */
#include "rig.h"

#include <odradek/kafka_errors.h>

#define RIG(conf)              \
    struct rig rig, *r = &rig; \
    rig_init(r, *state, (conf))

static enum group_state state_of(struct rig *r, const char *group)
{
    struct group *g = rig_group(r, group);
    assert_non_null(g);
    return g->state;
}

/* ---- one member ------------------------------------------------------------------------------------------------------------- */

static void a_consumer_gets_an_id_joins_syncs_and_beats(void **state)
{
    RIG("");
    struct ask *first = ask_join(r, JOIN(.group = "g"));
    assert_int_equal(error_of(first), KAFKA_MEMBER_ID_REQUIRED);
    const char *id = z(r, id_of(first));
    assert_int_equal(strncmp(id, "client-", 7), 0);
    assert_int_equal(strlen(id), 7 + 36);

    struct ask *again = ask_join(r, JOIN(.group = "g", .member = id));
    rig_run(r, 2);
    const struct join_group_response *j = joined(again);
    assert_int_equal(j->error_code, 0);
    assert_int_equal(j->generation_id, 1);
    assert_slice(j->protocol_name, "range");
    assert_slice(j->protocol_type, "consumer");
    assert_slice(j->leader, id);
    assert_slice(j->member_id, id);
    assert_int_equal(j->members_n, 1);
    assert_slice(j->members[0].member_id, id);
    assert_int_equal(state_of(r, "g"), STATE_COMPLETING);

    struct ask *s = ask_sync(r, "g", 1, id, (const char *const[]){ id, "mine" }, 1);
    rig_run(r, 2);
    assert_int_equal(synced(s)->error_code, 0);
    assert_slice(synced(s)->assignment, "mine");
    assert_slice(synced(s)->protocol_name, "range");
    assert_int_equal(state_of(r, "g"), STATE_STABLE);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 1, id, NULL)), 0);
    rig_free(r);
}

static void before_version_4_a_member_is_in_at_once(void **state)
{
    RIG("");
    struct ask *a = ask_join(r, JOIN(.group = "g", .version = 3 + 1));
    rig_run(r, 2);
    assert_int_equal(error_of(a), 0);
    assert_int_equal(joined(a)->members_n, 1);
    struct ask *old = ask_join(r, JOIN(.group = "h", .version = 0 + 1, .session_ms = 7000));
    rig_run(r, 2);
    assert_int_equal(error_of(old), 0);
    assert_int_equal(group_rebalance_ms(rig_group(r, "h")), 7000); /* v0 has no time of its own for it */
    rig_free(r);
}

static void an_assignment_is_told_only_when_it_is_durable(void **state)
{
    RIG("");
    struct ask *a = rig_member(r, JOIN(.group = "g"));
    rig_run(r, 5);
    const char *id = z(r, id_of(a));
    r->hold = true;
    struct ask *s = ask_sync(r, "g", 1, id, (const char *const[]){ id, "x" }, 1);
    rig_run(r, 100);
    assert_int_equal(s->answered, 0);
    assert_int_equal(state_of(r, "g"), STATE_COMPLETING);
    rig_let(r, 1, 0);
    assert_slice(synced(s)->assignment, "x");
    rig_free(r);
}

static void an_id_that_is_not_used_expires_with_the_session(void **state)
{
    RIG("");
    struct ask *a = ask_join(r, JOIN(.group = "g", .session_ms = 6000));
    const char *id = z(r, id_of(a));
    assert_int_equal(rig_group(r, "g")->pending.n, 1);
    rig_run(r, 7000);
    assert_int_equal(rig_group(r, "g")->pending.n, 0);
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g", .member = id))), KAFKA_UNKNOWN_MEMBER_ID);
    rig_free(r);
}

/* ---- several ------------------------------------------------------------------------------------------------------------------ */

static void a_second_member_makes_the_first_rejoin_and_they_share(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .protocols = "range,sticky"));
    struct ask *b = rig_member(r, JOIN(.group = "g", .protocols = "sticky,range"));
    assert_int_equal(b->answered, 0);
    assert_int_equal(state_of(r, "g"), STATE_PREPARING);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 1, one, NULL)), KAFKA_REBALANCE_IN_PROGRESS);
    struct ask *a = ask_join(r, JOIN(.group = "g", .member = one, .protocols = "range,sticky"));
    const char *two = z(r, id_of(b));
    assert_int_equal(joined(a)->generation_id, 2);
    assert_int_equal(joined(a)->members_n, 2);
    assert_int_equal(joined(b)->members_n, 0);
    assert_slice(joined(b)->leader, one);
    assert_slice(joined(b)->protocol_name, "range"); /* a tie goes to the older member's choice */

    struct ask *follower = ask_sync(r, "g", 2, two, NULL, 0);
    rig_run(r, 50);
    assert_int_equal(follower->answered, 0);
    struct ask *leader = ask_sync(r, "g", 2, one, (const char *const[]){ one, "0,1", two, "2,3" }, 2);
    rig_run(r, 5);
    assert_slice(synced(leader)->assignment, "0,1");
    assert_slice(synced(follower)->assignment, "2,3");
    assert_slice(synced(ask_sync(r, "g", 2, two, NULL, 0))->assignment, "2,3"); /* asked again while stable */
    rig_free(r);
}

static void a_cooperative_group_rebalances_twice_without_losing_anybody(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g"));
    struct ask *b = rig_member(r, JOIN(.group = "g"));
    struct ask *a = ask_join(r, JOIN(.group = "g", .member = one));
    const char *two = z(r, id_of(b));
    (void)joined(a);
    /* first round: the new member gets nothing yet, the old one gives up half */
    struct ask *sb = ask_sync(r, "g", 2, two, NULL, 0);
    struct ask *sa = ask_sync(r, "g", 2, one, (const char *const[]){ one, "0" }, 1);
    rig_run(r, 5);
    assert_slice(synced(sa)->assignment, "0");
    assert_slice(synced(sb)->assignment, "");
    /* second: the old one, which leads, joins again, the group follows */
    a = ask_join(r, JOIN(.group = "g", .member = one));
    assert_int_equal(a->answered, 0);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 2, two, NULL)), KAFKA_REBALANCE_IN_PROGRESS);
    b = ask_join(r, JOIN(.group = "g", .member = two));
    assert_int_equal(joined(a)->generation_id, 3);
    sb = ask_sync(r, "g", 3, two, NULL, 0);
    sa = ask_sync(r, "g", 3, one, (const char *const[]){ one, "0", two, "1" }, 2);
    rig_run(r, 5);
    assert_slice(synced(sb)->assignment, "1");
    assert_int_equal(error_of(b), 0);
    rig_free(r);
}

static void the_protocol_with_most_votes_among_those_all_support_wins(void **state)
{
    RIG("group.initial.rebalance.delay.ms=1000");
    struct ask *a = rig_member(r, JOIN(.group = "g", .protocols = "lonely,b,a"));
    struct ask *b = rig_member(r, JOIN(.group = "g", .protocols = "a,b"));
    struct ask *c = rig_member(r, JOIN(.group = "g", .protocols = "a,b"));
    rig_run(r, 5000);
    assert_slice(joined(a)->protocol_name, "a");
    assert_slice(joined(b)->protocol_name, "a");
    assert_slice(joined(c)->protocol_name, "a");
    rig_free(r);
}

static void the_initial_delay_grows_while_members_come_but_not_beyond_a_rebalance(void **state)
{
    RIG("group.initial.rebalance.delay.ms=3000");
    struct ask *a[4];
    for (int i = 0; i < 4; i++) {
        a[i] = rig_member(r, JOIN(.group = "g", .rebalance_ms = 7000, .session_ms = 20000));
        rig_run(r, 2000);
        assert_int_equal(a[0]->answered, i >= 3);
    }
    assert_int_equal(joined(a[0])->generation_id, 1);
    assert_int_equal(joined(a[0])->members_n, 4);
    rig_free(r);
}

static void members_that_do_not_rejoin_in_time_are_out(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .rebalance_ms = 8000, .session_ms = 30000));
    struct ask *b = rig_member(r, JOIN(.group = "g", .rebalance_ms = 8000, .session_ms = 30000));
    rig_run(r, 7000);
    assert_int_equal(b->answered, 0);
    rig_run(r, 1100);
    assert_int_equal(joined(b)->generation_id, 2);
    assert_int_equal(joined(b)->members_n, 1);
    assert_slice(joined(b)->leader, z(r, id_of(b)));
    assert_int_equal(error_of(ask_heartbeat(r, "g", 2, one, NULL)), KAFKA_UNKNOWN_MEMBER_ID);
    rig_free(r);
}

static void members_that_do_not_sync_in_time_are_out(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .rebalance_ms = 8000, .session_ms = 60000));
    struct ask *b = rig_member(r, JOIN(.group = "g", .rebalance_ms = 8000, .session_ms = 60000));
    struct ask *a = ask_join(r, JOIN(.group = "g", .member = one, .rebalance_ms = 8000, .session_ms = 60000));
    (void)joined(a);
    (void)joined(b);
    struct ask *sa = ask_sync(r, "g", 2, one, (const char *const[]){ one, "x" }, 1);
    rig_run(r, 5);
    assert_int_equal(error_of(sa), 0);
    rig_run(r, 9000); /* the second never synced */
    assert_int_equal(state_of(r, "g"), STATE_PREPARING);
    assert_int_equal(rig_group(r, "g")->members_n, 1);
    a = ask_join(r, JOIN(.group = "g", .member = one, .rebalance_ms = 8000, .session_ms = 60000));
    assert_int_equal(joined(a)->generation_id, 3);
    rig_free(r);
}

static void followers_hear_of_a_leader_that_never_assigns(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .rebalance_ms = 8000, .session_ms = 60000));
    struct ask *b = rig_member(r, JOIN(.group = "g", .rebalance_ms = 8000, .session_ms = 60000));
    (void)joined(ask_join(r, JOIN(.group = "g", .member = one, .rebalance_ms = 8000, .session_ms = 60000)));
    const char *two = z(r, id_of(b));
    struct ask *s = ask_sync(r, "g", 2, two, NULL, 0);
    rig_run(r, 9000);
    assert_int_equal(error_of(s), KAFKA_REBALANCE_IN_PROGRESS);
    struct ask *again = ask_join(r, JOIN(.group = "g", .member = two));
    assert_slice(joined(again)->leader, two);
    rig_free(r);
}

static void a_silent_member_expires_and_the_others_take_over(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .session_ms = 20000));
    struct ask *b = rig_member(r, JOIN(.group = "g", .session_ms = 6000));
    (void)joined(ask_join(r, JOIN(.group = "g", .member = one, .session_ms = 20000)));
    const char *two = z(r, id_of(b));
    struct ask *sb = ask_sync(r, "g", 2, two, NULL, 0);
    struct ask *sa = ask_sync(r, "g", 2, one, (const char *const[]){ one, "0", two, "1" }, 2);
    rig_run(r, 5);
    assert_int_equal(error_of(sa) + error_of(sb), 0);
    for (int i = 0; i < 4; i++) {
        rig_run(r, 4000);
        assert_int_equal(error_of(ask_heartbeat(r, "g", 2, one, NULL)), i ? KAFKA_REBALANCE_IN_PROGRESS : 0);
    }
    assert_int_equal(error_of(ask_heartbeat(r, "g", 2, two, NULL)), KAFKA_UNKNOWN_MEMBER_ID);
    struct ask *a = ask_join(r, JOIN(.group = "g", .member = one));
    assert_int_equal(joined(a)->members_n, 1);
    rig_free(r);
}

static void a_group_whose_last_member_expires_is_empty_and_remembers_its_generation(void **state)
{
    RIG("");
    rig_stable(r, JOIN(.group = "g", .session_ms = 6000));
    rig_run(r, 7000);
    assert_int_equal(state_of(r, "g"), STATE_EMPTY);
    assert_int_equal(rig_group(r, "g")->generation, 2);
    struct ask *a = rig_member(r, JOIN(.group = "g"));
    rig_run(r, 5);
    assert_int_equal(joined(a)->generation_id, 3);
    rig_free(r);
}

static void a_waiting_new_member_is_dropped_after_five_minutes(void **state)
{
    RIG("");
    rig_stable(r, JOIN(.group = "g", .rebalance_ms = 1000000, .session_ms = 1000000));
    struct ask *b = rig_member(r, JOIN(.group = "g", .rebalance_ms = 1000000));
    rig_run(r, 299000);
    assert_int_equal(b->answered, 0);
    rig_run(r, 2000);
    assert_int_equal(error_of(b), KAFKA_UNKNOWN_MEMBER_ID);
    rig_free(r);
}

static void leaving_is_answered_when_the_group_is_written_as_empty(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g"));
    r->hold = true;
    struct ask *l = ask_leave(r, "g", one, NULL);
    assert_int_equal(l->answered, 0);
    rig_let(r, 1, 0);
    assert_int_equal(error_of(l), 0);
    assert_int_equal(state_of(r, "g"), STATE_EMPTY);
    rig_free(r);
}

static void the_single_leave_of_old_versions_tells_its_error_at_the_top(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g"));
    struct leave_group_request in = dflt_leave_group_request;
    in.group_id = S("g");
    in.member_id = S("nobody");
    struct ask *a = ask(r, API_LEAVE_GROUP, 2, &in, sizeof in);
    assert_int_equal(((struct leave_group_response *)a->c.out)->error_code, KAFKA_UNKNOWN_MEMBER_ID);
    in.member_id = slice_of(one);
    a = ask(r, API_LEAVE_GROUP, 0, &in, sizeof in);
    rig_run(r, 5);
    assert_int_equal(((struct leave_group_response *)a->c.out)->error_code, 0);
    in.group_id = S("nogroup");
    a = ask(r, API_LEAVE_GROUP, 5, &in, sizeof in);
    assert_int_equal(((struct leave_group_response *)a->c.out)->members_n, 0);
    rig_free(r);
}

static void leaving_members_are_judged_one_by_one(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .instance = "i1"));
    struct leave_group_request_member_identity who[4] = {
        { .member_id = S("nobody") },
        { .member_id = S(""), .group_instance_id = S("i2") },
        { .member_id = S("wrong"), .group_instance_id = S("i1") },
        { .member_id = S(""), .group_instance_id = S("i1"), .reason = S("an administrator says so") },
    };
    struct leave_group_request in = { .group_id = S("g"), .member_id = S(""), .members = who, .members_n = 4 };
    struct ask *a = ask(r, API_LEAVE_GROUP, 5, &in, sizeof in);
    rig_run(r, 5);
    const struct leave_group_response *out = a->c.out;
    assert_int_equal(out->members[0].error_code, KAFKA_UNKNOWN_MEMBER_ID);
    assert_null(out->members[0].group_instance_id.p);
    assert_int_equal(out->members[1].error_code, KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(out->members[2].error_code, KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(out->members[3].error_code, 0);
    assert_slice(out->members[3].group_instance_id, "i1");
    assert_null(member_find(rig_group(r, "g"), slice_of(one)));
    rig_free(r);
}

/* ---- static members (KIP-345) -------------------------------------------------------------------------------------------------- */

static void a_static_member_comes_back_within_its_session_without_a_rebalance(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .instance = "i1"));
    struct ask *a = ask_join(r, JOIN(.group = "g", .instance = "i1"));
    rig_run(r, 5);
    const char *id = z(r, id_of(a));
    assert_int_equal(strncmp(id, "i1-", 3), 0);
    assert_string_not_equal(id, one);
    assert_int_equal(joined(a)->generation_id, 1);
    assert_true(joined(a)->skip_assignment);
    assert_slice(joined(a)->leader, id);
    assert_int_equal(joined(a)->members_n, 1);
    assert_slice(synced(ask_sync(r, "g", 1, id, NULL, 0))->assignment, "all");
    assert_int_equal(error_of(ask_heartbeat(r, "g", 1, one, "i1")), KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 1, one, NULL)), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 1, id, "i1")), 0);
    assert_int_equal(error_of(ask_sync(r, "g", 1, "other", NULL, 0)), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g", .member = one, .instance = "i1"))), KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g", .member = one, .instance = "i9"))), KAFKA_UNKNOWN_MEMBER_ID);
    rig_free(r);
}

static void before_version_9_a_returning_leader_is_not_told_that_it_leads(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .instance = "i1"));
    struct ask *a = ask_join(r, JOIN(.group = "g", .instance = "i1", .version = 8 + 1));
    rig_run(r, 5);
    assert_slice(joined(a)->leader, one);
    assert_int_equal(joined(a)->members_n, 0);
    assert_false(joined(a)->skip_assignment);
    rig_free(r);
}

static void a_static_member_that_comes_back_with_other_protocols_rebalances(void **state)
{
    RIG("group.initial.rebalance.delay.ms=500");
    struct ask *a = rig_member(r, JOIN(.group = "g", .instance = "i1", .protocols = "range,sticky"));
    struct ask *b = rig_member(r, JOIN(.group = "g", .instance = "i2", .protocols = "range,sticky"));
    rig_run(r, 3000);
    const char *one = z(r, id_of(a)), *two = z(r, id_of(b));
    struct ask *sb = ask_sync(r, "g", 1, two, NULL, 0);
    struct ask *sa = ask_sync(r, "g", 1, one, (const char *const[]){ one, "0", two, "1" }, 2);
    rig_run(r, 5);
    assert_int_equal(error_of(sa) + error_of(sb), 0);
    b = ask_join(r, JOIN(.group = "g", .instance = "i2", .protocols = "sticky"));
    assert_int_equal(b->answered, 0);
    assert_int_equal(state_of(r, "g"), STATE_PREPARING);
    a = ask_join(r, JOIN(.group = "g", .member = one, .instance = "i1", .protocols = "range,sticky"));
    assert_slice(joined(a)->protocol_name, "sticky");
    assert_int_equal(joined(b)->generation_id, 2);
    rig_free(r);
}

static void a_static_member_that_comes_back_while_its_predecessor_waits_fences_it(void **state)
{
    RIG("");
    rig_stable(r, JOIN(.group = "g", .session_ms = 60000));
    struct ask *b = ask_join(r, JOIN(.group = "g", .instance = "i1"));
    struct ask *b2 = ask_join(r, JOIN(.group = "g", .instance = "i1"));
    assert_int_equal(error_of(b), KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(b2->answered, 0);
    assert_int_equal(rig_group(r, "g")->members_n, 2);
    rig_free(r);
}

static void a_static_member_keeps_its_place_when_it_misses_a_rebalance(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .instance = "i1", .session_ms = 60000, .rebalance_ms = 8000));
    struct ask *b = rig_member(r, JOIN(.group = "g", .rebalance_ms = 8000, .session_ms = 60000));
    rig_run(r, 9000);
    assert_int_equal(joined(b)->members_n, 2); /* it leads now; the silent one is still there */
    assert_slice(joined(b)->leader, z(r, id_of(b)));
    assert_non_null(member_find(rig_group(r, "g"), slice_of(one)));
    rig_free(r);
}

/* ---- what is wrong with a join ---------------------------------------------------------------------------------------------------- */

static void wrong_joins_are_refused(void **state)
{
    RIG("group.min.session.timeout.ms=5000\ngroup.max.session.timeout.ms=50000");
    assert_int_equal(error_of(ask_join(r, JOIN(.group = ""))), KAFKA_INVALID_GROUP_ID);
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g", .session_ms = 4999))), KAFKA_INVALID_SESSION_TIMEOUT);
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g", .session_ms = 50001))), KAFKA_INVALID_SESSION_TIMEOUT);
    struct ask *a = ask_join(r, JOIN(.group = "g", .member = "ghost"));
    assert_int_equal(error_of(a), KAFKA_UNKNOWN_MEMBER_ID);
    assert_slice(joined(a)->member_id, "ghost");
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g", .type = ""))), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g", .no_protocols = true))), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    assert_null(rig_group(r, "g")); /* none of them made a group */
    rig_stable(r, JOIN(.group = "g"));
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g", .type = "connect"))), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g", .protocols = "other"))), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    rig_free(r);
}

static void a_full_group_takes_nobody(void **state)
{
    RIG("group.max.size=1");
    const char *one = rig_stable(r, JOIN(.group = "g"));
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g"))), KAFKA_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(state_of(r, "g"), STATE_STABLE);
    struct ask *a = ask_join(r, JOIN(.group = "g", .member = one));
    assert_int_equal(error_of(a), 0);
    rig_free(r);
}

static void a_follower_that_joins_again_unchanged_is_told_what_is(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g"));
    struct ask *b = rig_member(r, JOIN(.group = "g"));
    (void)joined(ask_join(r, JOIN(.group = "g", .member = one)));
    const char *two = z(r, id_of(b));
    struct ask *again = ask_join(r, JOIN(.group = "g", .member = two)); /* completing: it missed the answer */
    assert_int_equal(joined(again)->generation_id, 2);
    assert_int_equal(joined(again)->members_n, 0);
    again = ask_join(r, JOIN(.group = "g", .member = one));
    assert_int_equal(joined(again)->members_n, 2);
    struct ask *sb = ask_sync(r, "g", 2, two, NULL, 0);
    (void)synced(
        sb->answered ? sb : (rig_run(r, 1), ask_sync(r, "g", 2, one, (const char *const[]){ one, "x" }, 1), rig_run(r, 5), sb));
    again = ask_join(r, JOIN(.group = "g", .member = two)); /* stable */
    assert_int_equal(joined(again)->generation_id, 2);
    assert_int_equal(state_of(r, "g"), STATE_STABLE);
    again = ask_join(r, JOIN(.group = "g", .member = two, .topic = "t2")); /* it subscribes to something else */
    assert_int_equal(again->answered, 0);
    assert_int_equal(state_of(r, "g"), STATE_PREPARING);
    rig_free(r);
}

static void a_second_join_of_a_waiting_member_takes_over(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g"));
    struct ask *b = rig_member(r, JOIN(.group = "g"));
    struct group *g = rig_group(r, "g");
    const char *two = z(r, container_of(g->members.prev, struct member, link)->id);
    struct ask *b2 = ask_join(r, JOIN(.group = "g", .member = two));
    assert_int_equal(error_of(b), KAFKA_REBALANCE_IN_PROGRESS);
    assert_int_equal(g->awaiting_join, 1);
    struct ask *a = ask_join(r, JOIN(.group = "g", .member = one));
    assert_int_equal(joined(a)->generation_id, joined(b2)->generation_id);
    rig_free(r);
}

static void wrong_syncs_and_heartbeats_are_refused(void **state)
{
    RIG("");
    assert_int_equal(error_of(ask_sync(r, "none", 1, "m", NULL, 0)), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(error_of(ask_heartbeat(r, "none", 1, "m", NULL)), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(error_of(ask_heartbeat(r, "", 1, "m", NULL)), KAFKA_INVALID_GROUP_ID);
    const char *one = rig_stable(r, JOIN(.group = "g"));
    assert_int_equal(error_of(ask_sync(r, "g", 9, one, NULL, 0)), KAFKA_ILLEGAL_GENERATION);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 9, one, NULL)), KAFKA_ILLEGAL_GENERATION);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 1, one, "i1")), KAFKA_UNKNOWN_MEMBER_ID);
    struct sync_group_request in = dflt_sync_group_request;
    in.group_id = S("g");
    in.generation_id = 1;
    in.member_id = slice_of(one);
    assert_int_equal(error_of(ask(r, API_SYNC_GROUP, 5, &in, sizeof in)), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(error_of(ask(r, API_SYNC_GROUP, 4, &in, sizeof in)), 0);
    in.protocol_type = S("consumer");
    in.protocol_name = S("sticky");
    assert_int_equal(error_of(ask(r, API_SYNC_GROUP, 5, &in, sizeof in)), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    (void)rig_member(r, JOIN(.group = "g"));
    assert_int_equal(error_of(ask_sync(r, "g", 1, one, NULL, 0)), KAFKA_REBALANCE_IN_PROGRESS);
    rig_free(r);
}

/* ---- what is shown ------------------------------------------------------------------------------------------------------------------ */

static void a_description_shows_metadata_only_of_a_stable_group(void **state)
{
    RIG("");
    struct ask *d = ask_of(r, API_DESCRIBE_GROUPS, 5, "g");
    const struct describe_groups_response_described_group *out = d->c.out;
    assert_int_equal(out->error_code, 0);
    assert_slice(out->group_state, "Dead");
    d = ask_of(r, API_DESCRIBE_GROUPS, 6, "g");
    out = d->c.out;
    assert_int_equal(out->error_code, KAFKA_GROUP_ID_NOT_FOUND);
    assert_slice(out->error_message, "Group g not found.");
    assert_slice(out->group_state, "Dead");

    const char *one = rig_stable(r, JOIN(.group = "g", .instance = "i1"));
    d = ask_of(r, API_DESCRIBE_GROUPS, 6, "g");
    out = d->c.out;
    assert_slice(out->group_state, "Stable");
    assert_slice(out->protocol_type, "consumer");
    assert_slice(out->protocol_data, "range");
    assert_int_equal(out->members_n, 1);
    assert_slice(out->members[0].member_id, one);
    assert_slice(out->members[0].group_instance_id, "i1");
    assert_slice(out->members[0].client_id, "client");
    assert_slice(out->members[0].client_host, "/10.0.0.1");
    assert_slice(out->members[0].member_assignment, "all");
    assert_true(out->members[0].member_metadata.n > 0);

    (void)rig_member(r, JOIN(.group = "g"));
    d = ask_of(r, API_DESCRIBE_GROUPS, 6, "g");
    out = d->c.out;
    assert_slice(out->group_state, "PreparingRebalance");
    assert_slice(out->protocol_data, "");
    assert_int_equal(out->members_n, 2);
    assert_int_equal(out->members[0].member_metadata.n, 0);
    assert_int_equal(error_of(ask_of(r, API_DESCRIBE_GROUPS, 6, NULL)), KAFKA_INVALID_GROUP_ID);
    rig_free(r);
}

static const struct list_groups_response *listed(struct rig *r, const char *s, const char *t) { return ask_list(r, s, t)->c.out; }

static void a_listing_filters_by_state_and_type_in_any_case(void **state)
{
    RIG("");
    rig_stable(r, JOIN(.group = "g"));
    (void)error_of(ask_commit(r, COMMIT(.group = "simple", .offset = 5)));
    rig_run(r, 5);
    assert_int_equal(listed(r, NULL, NULL)->groups_n, 2);
    assert_int_equal(listed(r, " sTaBlE", NULL)->groups_n, 1);
    const struct list_groups_response *out = listed(r, "empty", "Classic");
    assert_int_equal(out->groups_n, 1);
    assert_slice(out->groups[0].group_id, "simple");
    assert_slice(out->groups[0].protocol_type, "");
    assert_slice(out->groups[0].group_state, "Empty");
    assert_slice(out->groups[0].group_type, "classic");
    assert_int_equal(listed(r, NULL, "consumer")->groups_n, 0);
    assert_int_equal(listed(r, "nonsense", NULL)->groups_n, 0);
    assert_int_equal(listed(r, NULL, "nonsense")->groups_n, 0);
    rig_free(r);
}

/* ---- failures, stopping ---------------------------------------------------------------------------------------------------------------- */

static void an_assignment_that_cannot_be_stored_sends_everybody_back(void **state)
{
    RIG("");
    struct ask *a = rig_member(r, JOIN(.group = "g"));
    rig_run(r, 5);
    const char *id = z(r, id_of(a));
    r->fail = E_NO_SPACE;
    struct ask *s = ask_sync(r, "g", 1, id, (const char *const[]){ id, "x" }, 1);
    rig_run(r, 5);
    assert_int_equal(error_of(s), KAFKA_NOT_COORDINATOR);
    assert_int_equal(state_of(r, "g"), STATE_PREPARING);
    r->fail = 0;
    a = ask_join(r, JOIN(.group = "g", .member = id));
    assert_int_equal(joined(a)->generation_id, 2);
    s = ask_sync(r, "g", 2, id, (const char *const[]){ id, "y" }, 1);
    rig_run(r, 5);
    assert_slice(synced(s)->assignment, "y");
    rig_free(r);
}

static void an_assignment_that_arrives_after_the_next_generation_began_changes_nothing(void **state)
{
    const int ends[] = { 0, E_NO_SPACE };
    for (int i = 0; i < 2; i++) {
        RIG("");
        const char *one = rig_stable(r, JOIN(.group = "g"));
        struct ask *b = rig_member(r, JOIN(.group = "g"));
        (void)joined(ask_join(r, JOIN(.group = "g", .member = one)));
        const char *two = z(r, id_of(b));
        r->hold = true;
        struct ask *s = ask_sync(r, "g", 2, one, (const char *const[]){ one, "old", two, "old" }, 2);
        b = ask_join(r, JOIN(.group = "g", .member = two, .topic = "t2"));
        assert_int_equal(error_of(s), KAFKA_REBALANCE_IN_PROGRESS);
        struct ask *a = ask_join(r, JOIN(.group = "g", .member = one));
        assert_int_equal(joined(a)->generation_id, 3);
        assert_int_equal(joined(b)->generation_id, 3);
        struct ask *sb = ask_sync(r, "g", 3, two, NULL, 0);
        rig_let(r, 1, ends[i]);
        assert_int_equal(state_of(r, "g"), STATE_COMPLETING);
        assert_int_equal(sb->answered, 0);
        s = ask_sync(r, "g", 3, one, (const char *const[]){ one, "x", two, "new" }, 2);
        rig_let(r, 1, 0);
        assert_slice(synced(sb)->assignment, "new");
        assert_int_equal(error_of(s), 0);
        rig_free(r);
    }
}

static void an_assignment_too_large_for_a_batch_is_an_error_of_the_server(void **state)
{
    RIG("message.max.bytes=1000");
    struct ask *a = rig_member(r, JOIN(.group = "g"));
    rig_run(r, 5);
    const char *id = z(r, id_of(a));
    char *big = arena_zalloc(&r->env->arena, 2001);
    memset(big, 'x', 2000);
    struct ask *s = ask_sync(r, "g", 1, id, (const char *const[]){ id, big }, 1);
    assert_int_equal(error_of(s), KAFKA_UNKNOWN_SERVER_ERROR);
    rig_free(r);
}

static void a_static_member_whose_new_id_cannot_be_stored_is_put_back(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .instance = "i1"));
    r->fail = E_NO_SPACE;
    struct ask *a = ask_join(r, JOIN(.group = "g", .instance = "i1", .topic = "t2"));
    rig_run(r, 5);
    assert_int_equal(error_of(a), KAFKA_NOT_COORDINATOR);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 1, one, "i1")), 0);
    assert_slice(rig_group(r, "g")->leader->id, one);
    assert_int_equal(state_of(r, "g"), STATE_STABLE);
    rig_free(r);
}

static void a_new_group_that_cannot_be_stored_is_gone(void **state)
{
    RIG("group.initial.rebalance.delay.ms=1000");
    r->fail = E_NO_SPACE;
    struct ask *a = ask_join(r, JOIN(.group = "g", .version = 3 + 1));
    rig_run(r, 5);
    assert_int_equal(error_of(a), KAFKA_NOT_COORDINATOR);
    assert_null(rig_group(r, "g"));
    rig_free(r);
}

static void a_stop_answers_all_who_wait_and_all_who_come(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g"));
    struct ask *b = rig_member(r, JOIN(.group = "g"));
    struct ask *c = rig_member(r, JOIN(.group = "h"));
    rig_run(r, 5);
    r->hold = true;
    const char *lead = z(r, id_of(c));
    struct ask *s = ask_sync(r, "h", 1, lead, (const char *const[]){ lead, "x" }, 1);
    struct ask *o = ask_commit(r, COMMIT(.group = "simple", .offset = 5));
    struct ask *f = ask_fetch(r, "simple", "t1", 0, true);
    rig_restart(r);
    assert_int_equal(error_of(b), KAFKA_NOT_COORDINATOR);
    assert_int_equal(error_of(s), KAFKA_NOT_COORDINATOR);
    assert_int_equal(error_of(o), KAFKA_NOT_COORDINATOR);
    assert_int_equal(error_of(f), KAFKA_NOT_COORDINATOR);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 1, one, NULL)), 0); /* the shard that followed knows its member */
    rig_free(r);
}

static void do_stop_only(struct rig *r, void *arg) { groups_stop(r->gs); }

static void after_a_stop_nothing_is_coordinated(void **state)
{
    RIG("");
    rig_do(r, do_stop_only, NULL);
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g"))), KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(error_of(ask_list(r, NULL, NULL)), KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(error_of(ask_commit(r, COMMIT(.group = "g"))), KAFKA_COORDINATOR_NOT_AVAILABLE);
    rig_free(r);
}

static void heartbeats_cost_no_timer(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .session_ms = 30000));
    struct member *m = member_find(rig_group(r, "g"), slice_of(one));
    int64_t armed = m->session.at_us;
    for (int i = 0; i < 5; i++) {
        rig_run(r, 1000);
        assert_int_equal(error_of(ask_heartbeat(r, "g", 1, one, NULL)), 0);
    }
    assert_int_equal(m->session.at_us, armed);
    assert_true(m->session_us > armed);
    rig_run(r, 28000);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 1, one, NULL)), 0); /* past the first deadline */
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SIM_WORLD(a_consumer_gets_an_id_joins_syncs_and_beats),
        IN_SIM_WORLD(before_version_4_a_member_is_in_at_once),
        IN_SIM_WORLD(an_assignment_is_told_only_when_it_is_durable),
        IN_SIM_WORLD(an_id_that_is_not_used_expires_with_the_session),
        IN_SIM_WORLD(a_second_member_makes_the_first_rejoin_and_they_share),
        IN_SIM_WORLD(a_cooperative_group_rebalances_twice_without_losing_anybody),
        IN_SIM_WORLD(the_protocol_with_most_votes_among_those_all_support_wins),
        IN_SIM_WORLD(the_initial_delay_grows_while_members_come_but_not_beyond_a_rebalance),
        IN_SIM_WORLD(members_that_do_not_rejoin_in_time_are_out),
        IN_SIM_WORLD(members_that_do_not_sync_in_time_are_out),
        IN_SIM_WORLD(followers_hear_of_a_leader_that_never_assigns),
        IN_SIM_WORLD(a_silent_member_expires_and_the_others_take_over),
        IN_SIM_WORLD(a_group_whose_last_member_expires_is_empty_and_remembers_its_generation),
        IN_SIM_WORLD(a_waiting_new_member_is_dropped_after_five_minutes),
        IN_SIM_WORLD(leaving_is_answered_when_the_group_is_written_as_empty),
        IN_SIM_WORLD(the_single_leave_of_old_versions_tells_its_error_at_the_top),
        IN_SIM_WORLD(leaving_members_are_judged_one_by_one),
        IN_SIM_WORLD(a_static_member_comes_back_within_its_session_without_a_rebalance),
        IN_SIM_WORLD(before_version_9_a_returning_leader_is_not_told_that_it_leads),
        IN_SIM_WORLD(a_static_member_that_comes_back_with_other_protocols_rebalances),
        IN_SIM_WORLD(a_static_member_that_comes_back_while_its_predecessor_waits_fences_it),
        IN_SIM_WORLD(a_static_member_keeps_its_place_when_it_misses_a_rebalance),
        IN_SIM_WORLD(wrong_joins_are_refused),
        IN_SIM_WORLD(a_full_group_takes_nobody),
        IN_SIM_WORLD(a_follower_that_joins_again_unchanged_is_told_what_is),
        IN_SIM_WORLD(a_second_join_of_a_waiting_member_takes_over),
        IN_SIM_WORLD(wrong_syncs_and_heartbeats_are_refused),
        IN_SIM_WORLD(a_description_shows_metadata_only_of_a_stable_group),
        IN_SIM_WORLD(a_listing_filters_by_state_and_type_in_any_case),
        IN_SIM_WORLD(an_assignment_that_cannot_be_stored_sends_everybody_back),
        IN_SIM_WORLD(an_assignment_that_arrives_after_the_next_generation_began_changes_nothing),
        IN_SIM_WORLD(an_assignment_too_large_for_a_batch_is_an_error_of_the_server),
        IN_SIM_WORLD(a_static_member_whose_new_id_cannot_be_stored_is_put_back),
        IN_SIM_WORLD(a_new_group_that_cannot_be_stored_is_gone),
        IN_SIM_WORLD(a_stop_answers_all_who_wait_and_all_who_come),
        IN_SIM_WORLD(after_a_stop_nothing_is_coordinated),
        IN_SIM_WORLD(heartbeats_cost_no_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
