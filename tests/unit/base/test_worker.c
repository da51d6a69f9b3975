/* Workers and tickets, in both worlds. */
#include "test.h"

#include "loop.h"
#include <stdlib.h>
#include <unistd.h>

/* ---- workers ---- */

struct job {
    struct worker *worker;
    struct loop *loop;
    int left;  /* turns of work; touched by the worker */
    int turns; /* the same */
    _Atomic int asked;
    int done; /* what was asked for and seen by a turn; by the worker */
    struct post answer;
    bool answered;
};

static enum turn work(void *arg)
{
    struct job *j = arg;
    j->turns++;
    j->done = atomic_load(&j->asked);
    if (j->left > 0) j->left--;
    if (j->left > 0) return TURN_MORE;
    if (!j->answered && j->loop) {
        j->answered = true;
        loop_post(j->loop, &j->answer);
    }
    return TURN_IDLE;
}

static void on_answer(struct post *p)
{
    struct job *j = container_of(p, struct job, answer);
    loop_stop(j->loop);
}

static void a_kicked_worker_takes_turns_until_it_is_idle_and_answers_by_post(void **state)
{
    struct test_env *env = *state;
    struct job j = { .left = 5, .answer.fn = on_answer, .loop = loop_new(env->world, "loop") };
    j.worker = worker_start(env->world, "worker", work, &j);
    worker_kick(j.worker);
    loop_run(j.loop);
    worker_stop(&j.worker);
    assert_null(j.worker);
    assert_true(j.turns >= 5 && j.turns <= 7); /* and one for the stop */
    assert_int_equal(j.left, 0);
    loop_free(&j.loop);
}

static int threads_now(void)
{
    static const char key[] = "Threads:";
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    int n = -1;
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, key, sizeof key - 1) == 0) n = (int)strtol(line + sizeof key - 1, NULL, 10);
    fclose(f);
    assert_true(n > 0);
    return n;
}

/* A thread that was joined is counted a moment longer. */
static void assert_threads(int n)
{
    for (int tries = 0; tries < 1000 && threads_now() > n; tries++) usleep(1000);
    assert_int_equal(threads_now(), n);
}

static void a_held_worker_gets_its_thread_when_it_is_kicked_or_when_all_begin(void **state)
{
    struct test_env *env = *state;
    struct job j[4] = { { .left = 1 }, { .left = 1 }, { .left = 1 }, { .left = 1 } };
    int before = threads_now();
    workers_hold(env->world);
    for (int i = 0; i < 3; i++) j[i].worker = worker_start(env->world, "held", work, &j[i]);
    assert_threads(before);
    worker_kick(j[0].worker);
    assert_threads(before + 1);
    worker_stop(&j[1].worker); /* before its thread was there: it does its turn */
    assert_int_equal(j[1].left, 0);
    assert_threads(before + 1);
    workers_begin(env->world);
    assert_threads(before + 2);
    j[3].worker = worker_start(env->world, "free", work, &j[3]);
    assert_threads(before + 3);
    worker_stop(&j[0].worker);
    worker_stop(&j[2].worker);
    worker_stop(&j[3].worker);
    for (int i = 0; i < 4; i++) assert_int_equal(j[i].left, 0);
}

static void stopping_a_worker_finishes_its_work_first(void **state)
{
    struct test_env *env = *state;
    struct job j = { .left = 100 };
    j.worker = worker_start(env->world, "worker", work, &j);
    worker_stop(&j.worker);
    assert_int_equal(j.left, 0);
    assert_int_equal(j.turns, 100);
}

static void a_turn_begins_after_every_kick(void **state)
{
    struct test_env *env = *state;
    struct job j = { 0 };
    for (int round = 0; round < 20; round++) {
        j.worker = worker_start(env->world, "worker", work, &j);
        for (int i = 0; i < 200; i++) {
            atomic_fetch_add(&j.asked, 1);
            worker_kick(j.worker);
            if (env->world->sim && i % 3 == 0) sim_step(env->world);
        }
        worker_stop(&j.worker);
        assert_int_equal(j.done, j.asked);
    }
}

static void an_idle_worker_is_not_run(void **state)
{
    struct test_env *env = *state;
    struct job j = { 0 };
    j.worker = worker_start(env->world, "worker", work, &j);
    assert_false(sim_step(env->world));
    worker_kick(j.worker);
    while (sim_step(env->world)) {}
    assert_int_equal(j.turns, 1);
    worker_stop(&j.worker);
}

/* A callback may stop a worker that posts to the callback's own loop: others run meanwhile, this loop does not. */
struct stopper {
    struct post post;
    struct loop *loop;
    struct worker *worker;
    int turns;
    bool inside;
    struct post note;
};

static enum turn stopper_turn(void *arg)
{
    struct stopper *s = arg;
    if (++s->turns == 1) loop_post(s->loop, &s->note);
    return s->turns < 3 ? TURN_MORE : TURN_IDLE;
}

static void stopper_note(struct post *p)
{
    struct stopper *s = container_of(p, struct stopper, note);
    assert_false(s->inside);
    loop_stop(s->loop);
}

static void stopper_stop(struct post *p)
{
    struct stopper *s = container_of(p, struct stopper, post);
    s->inside = true;
    worker_stop(&s->worker);
    s->inside = false;
}

static void a_callback_may_stop_a_worker(void **state)
{
    struct test_env *env = *state;
    struct stopper s = { .post.fn = stopper_stop, .note.fn = stopper_note, .loop = loop_new(env->world, "loop") };
    s.worker = worker_start(env->world, "worker", stopper_turn, &s);
    loop_post(s.loop, &s.post);
    loop_run(s.loop);
    assert_int_equal(s.turns, 3);
    loop_free(&s.loop);
}

/* ---- tickets ---- */

struct waiter {
    struct sleeper sleeper;
    struct waker *waker;
    int woken, wanted;
    bool poke_again;
};

static void on_wake(struct sleeper *s)
{
    struct waiter *x = container_of(s, struct waiter, sleeper);
    assert_true(loop_here(waker_loop(x->waker)));
    x->woken++;
    if (x->poke_again) {
        x->poke_again = false;
        waker_poke(x->waker, s->id);
        assert_int_equal(x->woken, 1); /* never inside waker_poke */
    }
    if (x->woken == x->wanted) loop_stop(waker_loop(x->waker));
}

static struct waiter *waiters_new(struct waker *w, int n)
{
    struct waiter *x = mem_zalloc((size_t)n * sizeof(*x));
    for (int i = 0; i < n; i++) {
        x[i].sleeper.wake = on_wake;
        x[i].waker = w;
        waker_add(w, &x[i].sleeper);
        assert_int_not_equal(x[i].sleeper.id, 0);
    }
    return x;
}

static void run_dry(struct test_env *env, struct loop *l)
{
    loop_stop(l);
    loop_run(l); /* runs until its inbox is empty */
}

static void many_pokes_before_delivery_are_one_wake_up(void **state)
{
    struct test_env *env = *state;
    struct loop *l = loop_new(env->world, "loop");
    struct waker *w = waker_new(l);
    struct waiter *x = waiters_new(w, 3);
    int64_t posts = metric_get(M_loop_posts);
    for (int i = 0; i < 100; i++) waker_poke(w, x[i % 2].sleeper.id);
    waker_poke(w, 0);
    assert_true(metric_get(M_loop_posts) - posts <= 1);
    assert_int_equal(x[0].woken, 0);
    run_dry(env, l);
    assert_int_equal(x[0].woken, 1);
    assert_int_equal(x[1].woken, 1);
    assert_int_equal(x[2].woken, 0);
    waker_free(&w);
    loop_free(&l);
    mem_free(x);
}

static void a_poke_from_inside_a_wake_up_is_delivered_again(void **state)
{
    struct test_env *env = *state;
    struct loop *l = loop_new(env->world, "loop");
    struct waker *w = waker_new(l);
    struct waiter *x = waiters_new(w, 1);
    x->poke_again = true;
    waker_poke(w, x->sleeper.id);
    run_dry(env, l);
    assert_int_equal(x->woken, 2);
    waker_free(&w);
    loop_free(&l);
    mem_free(x);
}

static void a_ticket_whose_owner_is_gone_finds_nobody(void **state)
{
    struct test_env *env = *state;
    struct loop *l = loop_new(env->world, "loop");
    struct waker *w = waker_new(l);
    struct waiter *x = waiters_new(w, 2);
    ticket gone = x[0].sleeper.id, pending = x[1].sleeper.id;
    waker_remove(w, &x[0].sleeper);
    waker_remove(w, &x[0].sleeper);
    waker_poke(w, pending);
    waker_remove(w, &x[1].sleeper); /* while its wake-up is under way */
    struct waiter *y = waiters_new(w, 3000);
    for (int i = 0; i < 3000; i++) assert_true(y[i].sleeper.id != gone && y[i].sleeper.id != pending);
    waker_poke(w, gone);
    waker_poke(w, 12345678901234u);
    run_dry(env, l);
    assert_int_equal(x[0].woken + x[1].woken, 0);
    for (int i = 0; i < 3000; i++) assert_int_equal(y[i].woken, 0);
    waker_free(&w);
    loop_free(&l);
    mem_free(x);
    mem_free(y);
}

static void a_crowd_is_woken_in_portions_and_completely(void **state)
{
    struct test_env *env = *state;
    enum { CROWD = 10000 };
    struct loop *l = loop_new(env->world, "loop");
    struct waker *w = waker_new(l);
    struct waiter *x = waiters_new(w, CROWD);
    loop_start(l);
    for (int i = 0; i < CROWD; i++) waker_poke(w, x[i].sleeper.id);
    sim_step(env->world);
    int first = 0;
    for (int i = 0; i < CROWD; i++) first += x[i].woken;
    assert_in_range(first, 1, 1000);
    waker_poke(w, x[0].sleeper.id); /* again: goes behind the others */
    while (sim_step(env->world)) {}
    assert_int_equal(x[0].woken, 2);
    for (int i = 1; i < CROWD; i++) assert_int_equal(x[i].woken, 1);
    waker_poke(w, x[5].sleeper.id);
    waker_free(&w); /* with a wake-up under way */
    loop_stop(l);
    loop_join(l);
    loop_free(&l);
    mem_free(x);
}

enum { POKERS = 3, POKES = 20000, SLEEPERS = 50 };
struct market {
    struct waker *waker;
    struct loop *loop;
    struct post post;
    struct timer timer;
    int changes;
    struct waiter x[SLEEPERS];
    _Atomic ticket id[SLEEPERS];
    _Atomic int pokers_left;
};

static void *poker(void *arg)
{
    struct market *m = arg;
    for (int i = 0; i < POKES; i++) waker_poke(m->waker, atomic_load(&m->id[i % SLEEPERS]));
    atomic_fetch_sub(&m->pokers_left, 1);
    return NULL;
}

static void shuffle(struct post *p) /* at home: sleepers come and go while they are poked */
{
    struct market *m = container_of(p, struct market, post);
    struct waiter *x = &m->x[m->changes++ % SLEEPERS];
    ticket old = x->sleeper.id;
    waker_remove(m->waker, &x->sleeper);
    waker_add(m->waker, &x->sleeper);
    assert_true(x->sleeper.id != old);
    atomic_store(&m->id[x - m->x], x->sleeper.id);
    if (atomic_load(&m->pokers_left) == 0) loop_stop(m->loop);
    else loop_post(m->loop, p);
}

static void sleepers_come_and_go_while_other_threads_poke(void **state)
{
    struct test_env *env = *state;
    struct market *m = new (struct market);
    pthread_t t[POKERS];
    m->loop = loop_new(env->world, "loop");
    m->waker = waker_new(m->loop);
    m->post.fn = shuffle;
    m->pokers_left = POKERS;
    for (int i = 0; i < SLEEPERS; i++) {
        m->x[i].sleeper.wake = on_wake;
        m->x[i].waker = m->waker;
        waker_add(m->waker, &m->x[i].sleeper);
        m->id[i] = m->x[i].sleeper.id;
    }
    loop_start(m->loop);
    for (int i = 0; i < POKERS; i++) assert_int_equal(pthread_create(&t[i], NULL, poker, m), 0);
    loop_post(m->loop, &m->post);
    for (int i = 0; i < POKERS; i++) pthread_join(t[i], NULL);
    loop_join(m->loop);
    int woken = 0;
    for (int i = 0; i < SLEEPERS; i++) woken += m->x[i].woken;
    assert_in_range(woken, 1, POKERS * POKES);
    waker_free(&m->waker);
    loop_free(&m->loop);
    mem_free(m);
}

static void a_poke_from_another_thread_wakes_a_sleeping_loop(void **state)
{
    struct test_env *env = *state;
    struct market *m = new (struct market);
    pthread_t t;
    m->loop = loop_new(env->world, "loop");
    m->waker = waker_new(m->loop);
    struct waiter *x = waiters_new(m->waker, 1);
    x->wanted = 1;
    m->id[0] = x->sleeper.id;
    loop_start(m->loop);
    assert_int_equal(pthread_create(&t, NULL, poker, m), 0);
    loop_join(m->loop);
    pthread_join(t, NULL);
    assert_true(x->woken >= 1);
    waker_free(&m->waker);
    loop_free(&m->loop);
    mem_free(x);
    mem_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(a_kicked_worker_takes_turns_until_it_is_idle_and_answers_by_post),
        IN_BOTH_WORLDS(stopping_a_worker_finishes_its_work_first),
        IN_BOTH_WORLDS(a_turn_begins_after_every_kick),
        IN_SIM_WORLD(an_idle_worker_is_not_run),
        IN_REAL_WORLD(a_held_worker_gets_its_thread_when_it_is_kicked_or_when_all_begin),
        IN_BOTH_WORLDS(a_callback_may_stop_a_worker),
        IN_BOTH_WORLDS(many_pokes_before_delivery_are_one_wake_up),
        IN_BOTH_WORLDS(a_poke_from_inside_a_wake_up_is_delivered_again),
        IN_BOTH_WORLDS(a_ticket_whose_owner_is_gone_finds_nobody),
        IN_SIM_WORLD(a_crowd_is_woken_in_portions_and_completely),
        IN_REAL_WORLD(sleepers_come_and_go_while_other_threads_poke),
        IN_REAL_WORLD(a_poke_from_another_thread_wakes_a_sleeping_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
