#include "help.h"

#include <odradek/batch.h>

static const struct image_env env = { .node_id = 1 };

/* A replay over an empty image, fed with batches. */
struct feed {
    struct arena a;
    struct draft *d;
    struct kept k;
    struct replay r;
    int64_t next;
};

static struct feed *feed_new(void)
{
    struct feed *f = new (struct feed);
    struct image *im = image_empty(&env);
    arena_init(&f->a);
    f->d = draft_new(&env, im);
    image_unref(&im);
    kept_init(&f->k);
    replay_init(&f->r, f->d, &f->k);
    return f;
}

static void feed_free(struct feed *f)
{
    replay_free(&f->r);
    draft_free(&f->d);
    kept_free(&f->k);
    arena_free(&f->a);
    mem_free(f);
}

static int feed_batch(struct feed *f, const struct slice *recs, int n, struct why *why)
{
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder b;
    struct bytes out = { 0 };
    o.base_offset = f->next;
    o.leader_epoch = 3;
    batch_begin(&b, &o, &out);
    for (int i = 0; i < n; i++) batch_append(&b, 1000, (struct slice){ 0 }, recs[i], NULL, 0);
    assert_true(batch_end(&b) > 0);
    f->next += n;
    int rc = replay_batch(&f->r, out.p, out.n, 0, false, why);
    bytes_free(&out);
    return rc;
}
#define FEED(f, ...) feed_batch((f), (struct slice[]){ __VA_ARGS__ }, (int)ARRAY_LEN(((struct slice[]){ __VA_ARGS__ })), NULL)

static struct image *feed_image(struct feed *f) { return draft_finish(f->d, f->next - 1); }

static struct slice r_begin(struct arena *a)
{
    return mrec_make(a, &msg_begin_transaction_record, 0, &dflt_begin_transaction_record);
}
static struct slice r_end(struct arena *a) { return mrec_make(a, &msg_end_transaction_record, 0, &dflt_end_transaction_record); }
static struct slice r_abort(struct arena *a)
{
    return mrec_make(a, &msg_abort_transaction_record, 0, &dflt_abort_transaction_record);
}

static void count(void *arg, struct slice value) { ++*(int *)arg; }
static int kept_count(struct feed *f, int key)
{
    int n = 0;
    kept_each(&f->k, key, count, &n);
    return n;
}

/* ---- transactions ---------------------------------------------------------------------------------------------------------------- */

static void a_transaction_over_several_batches_counts_at_its_end(void **state)
{
    struct feed *f = feed_new();
    assert_ok(FEED(f, r_begin(&f->a), r_topic(&f->a, "t", id_of(1))));
    assert_true(f->r.in_txn);
    assert_ok(FEED(f, r_partition(&f->a, id_of(1), 0, 1, 0), r_unknown(&f->a, "x"), r_end(&f->a), r_topic(&f->a, "u", id_of(2))));
    assert_false(f->r.in_txn);
    struct image *im = feed_image(f);
    assert_int_equal(im->topics_n, 2);
    assert_int_equal(image_topic(im, S("t"))->partitions_n, 1);
    assert_int_equal(kept_count(f, -1), 1);
    image_unref(&im);
    feed_free(f);
}

static void an_aborted_or_unfinished_transaction_leaves_nothing(void **state)
{
    struct feed *f = feed_new();
    assert_ok(FEED(f, r_begin(&f->a), r_topic(&f->a, "t", id_of(1)), r_unknown(&f->a, "x")));
    assert_ok(FEED(f, r_abort(&f->a), r_topic(&f->a, "u", id_of(2))));
    assert_ok(FEED(f, r_begin(&f->a), r_topic(&f->a, "v", id_of(3)), r_remove(&f->a, id_of(2))));
    assert_true(f->r.in_txn);
    struct image *im = feed_image(f);
    assert_int_equal(im->topics_n, 1);
    assert_non_null(image_topic(im, S("u")));
    assert_int_equal(kept_count(f, -1), 0);
    image_unref(&im);
    feed_free(f);
}

static void transactions_that_do_not_nest_are_malformed(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct feed *f = feed_new();
        if (i == 0) assert_err(FEED(f, r_begin(&f->a), r_begin(&f->a)), E_MALFORMED);
        if (i == 1) assert_err(FEED(f, r_end(&f->a)), E_MALFORMED);
        if (i == 2) assert_err(FEED(f, r_abort(&f->a)), E_MALFORMED);
        feed_free(f);
    }
}

static void the_reason_names_the_offset(void **state)
{
    struct feed *f = feed_new();
    struct why why = { "" };
    const struct slice recs[] = { r_topic(&f->a, "t", id_of(1)), r_remove(&f->a, id_of(9)) };
    f->next = 40;
    assert_err(feed_batch(f, recs, 2, &why), E_NOT_FOUND);
    assert_non_null(strstr(why.text, "offset 41: RemoveTopicRecord of unknown topic id"));
    feed_free(f);
}

/* ---- kept records ------------------------------------------------------------------------------------------------------------------ */

static void a_record_replaces_its_predecessor_and_a_removal_removes_it(void **state)
{
    struct feed *f = feed_new();
    struct arena *a = &f->a;
    struct client_quota_record_entity_data e[] = { dflt_client_quota_record_entity_data, dflt_client_quota_record_entity_data };
    struct client_quota_record q = dflt_client_quota_record;
    e[0].entity_type = S("user");
    e[0].entity_name = S("bob");
    e[1].entity_type = S("client-id");
    e[1].entity_name = (struct slice){ 0 };
    q.entity = e;
    q.entity_n = 2;
    q.key = S("producer_byte_rate");
    q.value = 5;
    assert_ok(FEED(f, mrec_make(a, &msg_client_quota_record, 0, &q)));
    struct client_quota_record_entity_data swapped[] = { e[1], e[0] };
    q.entity = swapped; /* the same entity, written the other way round */
    q.value = 6;
    assert_ok(FEED(f, mrec_make(a, &msg_client_quota_record, 0, &q)));
    assert_int_equal(kept_count(f, CLIENT_QUOTA_RECORD), 1);
    q.key = S("consumer_byte_rate");
    assert_ok(FEED(f, mrec_make(a, &msg_client_quota_record, 0, &q)));
    assert_int_equal(kept_count(f, CLIENT_QUOTA_RECORD), 2);
    q.remove = true;
    assert_ok(FEED(f, mrec_make(a, &msg_client_quota_record, 0, &q)));
    assert_int_equal(kept_count(f, CLIENT_QUOTA_RECORD), 1);

    struct user_scram_credential_record s = dflt_user_scram_credential_record;
    struct remove_user_scram_credential_record rs = dflt_remove_user_scram_credential_record;
    s.name = rs.name = S("bob");
    s.mechanism = 1;
    assert_ok(FEED(f, mrec_make(a, &msg_user_scram_credential_record, 0, &s)));
    s.mechanism = rs.mechanism = 2;
    assert_ok(
        FEED(f, mrec_make(a, &msg_user_scram_credential_record, 0, &s), mrec_make(a, &msg_user_scram_credential_record, 0, &s)));
    assert_int_equal(kept_count(f, USER_SCRAM_CREDENTIAL_RECORD), 2);
    assert_ok(FEED(f, mrec_make(a, &msg_remove_user_scram_credential_record, 0, &rs)));
    assert_int_equal(kept_count(f, USER_SCRAM_CREDENTIAL_RECORD), 1);

    struct access_control_entry_record acl = dflt_access_control_entry_record;
    struct remove_access_control_entry_record ra = dflt_remove_access_control_entry_record;
    acl.id = ra.id = id_of(5);
    assert_ok(FEED(f, mrec_make(a, &msg_access_control_entry_record, 0, &acl)));
    assert_int_equal(kept_count(f, ACCESS_CONTROL_ENTRY_RECORD), 1);
    assert_ok(FEED(f, mrec_make(a, &msg_remove_access_control_entry_record, 0, &ra)));
    assert_int_equal(kept_count(f, ACCESS_CONTROL_ENTRY_RECORD), 0);
    feed_free(f);
}

static void records_of_unknown_type_are_all_carried_along(void **state)
{
    struct feed *f = feed_new();
    assert_ok(FEED(f, r_unknown(&f->a, "x"), r_unknown(&f->a, "x"), r_unknown(&f->a, "y")));
    assert_int_equal(kept_count(f, -1), 3);
    feed_free(f);
}

static void keep_registration(void *arg, struct slice value) { *(struct slice *)arg = value; }

static void a_registration_changes_as_later_records_say(void **state)
{
    struct feed *f = feed_new();
    struct register_broker_record r = dflt_register_broker_record;
    struct broker_registration_change_record c = dflt_broker_registration_change_record;
    struct uuid dirs[] = { id_of(1), id_of(2) };
    r.broker_id = c.broker_id = 1;
    r.broker_epoch = c.broker_epoch = 13;
    r.fenced = true;
    assert_ok(FEED(f, mrec_make(&f->a, &msg_register_broker_record, 1, &r)));
    c.fenced = -1;
    c.in_controlled_shutdown = 1;
    c.log_dirs = dirs;
    c.log_dirs_n = 2;
    assert_ok(FEED(f, mrec_make(&f->a, &msg_broker_registration_change_record, 2, &c)));
    struct slice value = { 0 };
    struct mrec m;
    kept_each(&f->k, REGISTER_BROKER_RECORD, keep_registration, &value);
    assert_ok(mrec_parse(value, &m));
    assert_int_equal(m.version, 3); /* the first that has log directories */
    assert_ok(mrec_decode(&m, &msg_register_broker_record, &f->a, &r, NULL));
    assert_false(r.fenced);
    assert_true(r.in_controlled_shutdown);
    assert_int_equal(r.log_dirs_n, 2);
    assert_int_equal(kept_broker_epoch(&f->k, 1), 13);
    struct unregister_broker_record u = dflt_unregister_broker_record;
    u.broker_id = 1;
    assert_ok(FEED(f, mrec_make(&f->a, &msg_unregister_broker_record, 0, &u)));
    assert_int_equal(kept_count(f, REGISTER_BROKER_RECORD), 0);
    feed_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_over_several_batches_counts_at_its_end),
        cmocka_unit_test(an_aborted_or_unfinished_transaction_leaves_nothing),
        cmocka_unit_test(transactions_that_do_not_nest_are_malformed),
        cmocka_unit_test(the_reason_names_the_offset),
        cmocka_unit_test(a_record_replaces_its_predecessor_and_a_removal_removes_it),
        cmocka_unit_test(records_of_unknown_type_are_all_carried_along),
        cmocka_unit_test(a_registration_changes_as_later_records_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
