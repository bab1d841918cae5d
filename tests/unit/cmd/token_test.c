#include "cmd/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/jwt.h"
#include "auth/key_set.h"
#include "core/clock.h"

#define SECRET "0123456789012345678901234567890123456789"

static char output[4096];
static char errors[1024];

static const char *look_up(void *context, const char *name)
{
    const char *const *variables = context;

    for (; *variables; variables += 2)
        if (strcmp(variables[0], name) == 0)
            return variables[1];
    return NULL;
}

/* Runs the command with settings, a list of names and values. */
static int run(const char *const *settings, int argc, const char *const *arguments)
{
    struct buffer problems = buffer_make(4096);
    struct token_request request;
    struct config config;
    FILE *out = fmemopen(output, sizeof output, "w");
    FILE *err = fmemopen(errors, sizeof errors, "w");
    char *rest[8];
    int status;

    assert_non_null(out);
    assert_non_null(err);
    memset(output, 0, sizeof output);
    memset(errors, 0, sizeof errors);
    memcpy(rest, arguments, (size_t)argc * sizeof rest[0]);
    status = token_take_arguments(&argc, rest, &request, err);
    if (status == 0) {
        if (config_load(&config, argc, rest, look_up, (void *)(uintptr_t)settings, &problems) < 0)
            fail_msg("%.*s", (int)problems.size, problems.data);
        status = token_run(&config, &request, out, err);
        config_release(&config);
    }
    buffer_release(&problems);
    fclose(out);
    fclose(err);
    return status;
}

#define RUN(settings, ...) \
    run(settings, (int)(sizeof(const char *[]){__VA_ARGS__} / sizeof(const char *)), (const char *const[]){__VA_ARGS__})

static const char *const usual[] = {"AUTH_MODE", "jwt", "JWT_SECRET", SECRET, NULL};

/* What Sluice makes of the token that was printed last. */
static enum jwt_reason verify(const struct jwt_rules *rules, int64_t now_s, struct jwt_claims **ret_claims)
{
    struct key_error error;
    struct key_set *keys = key_set_from_secret(SECRET, strlen(SECRET), &error);
    enum jwt_reason reason;

    assert_non_null(keys);
    assert_int_equal(output[strlen(output) - 1], '\n');
    reason = jwt_verify(rules, keys, output, strlen(output) - 1, now_s, ret_claims);
    key_set_unref(keys);
    return reason;
}

static void a_token_is_good_for_its_company_and_user_as_long_as_it_says(void **state)
{
    const struct jwt_rules rules = {.exp_is_required = true, .company_claim = "companyId", .user_claim = "sub"};
    struct jwt_claims *claims = NULL;
    int64_t now_s;

    (void)state;
    assert_int_equal(RUN(usual, "--company", "acme", "--user=u1"), 0);
    assert_string_equal(errors, "");
    /* Behind the command: what is issued in the second after now is not valid yet. */
    now_s = clock_unix_ms() / 1000;
    assert_int_equal(verify(&rules, now_s, &claims), JWT_OK);
    assert_true(jwt_claims_has_company(claims, "acme"));
    assert_string_equal(claims->user, "u1");
    assert_int_equal(strlen(claims->token_id), 16);
    jwt_claims_unref(claims);
    assert_int_equal(verify(&rules, now_s + 700, &claims), JWT_EXPIRED);
    assert_int_equal(RUN(usual, "--company", "acme", "--lifetime", "3600"), 0);
    now_s = clock_unix_ms() / 1000;
    assert_int_equal(verify(&rules, now_s + 3500, &claims), JWT_OK);
    assert_string_equal(claims->user, "");
    jwt_claims_unref(claims);
    assert_int_equal(verify(&rules, now_s + 3700, &claims), JWT_EXPIRED);
}

static void it_says_what_the_settings_ask_for(void **state)
{
    static const char *const settings[] = {"AUTH_MODE",
                                           "jwt",
                                           "JWT_SECRET",
                                           SECRET,
                                           "JWT_ISSUER",
                                           "https://issuer",
                                           "JWT_AUDIENCE",
                                           "sluice",
                                           "JWT_COMPANY_CLAIM",
                                           "org.id",
                                           "JWT_USER_CLAIM",
                                           "login",
                                           NULL};
    const struct jwt_rules rules = {.algorithms = ALGORITHM_BIT(ALGORITHM_HS512),
                                    .exp_is_required = true,
                                    .issuer = "https://issuer",
                                    .audience = "sluice",
                                    .company_claim = "org.id",
                                    .user_claim = "login"};
    struct jwt_claims *claims = NULL;

    (void)state;
    assert_int_equal(RUN(settings, "--company", "acme", "--jwt-algorithms", "HS512", "--user", "u1"), 0);
    assert_int_equal(verify(&rules, clock_unix_ms() / 1000, &claims), JWT_OK);
    assert_true(jwt_claims_has_company(claims, "acme"));
    assert_string_equal(claims->user, "u1");
    jwt_claims_unref(claims);
}

static void bad_usage_is_told_and_makes_no_token(void **state)
{
    static const struct {
        int count;
        const char *arguments[4];
    } bad[] = {
        {0, {NULL}},
        {1, {"--company"}},
        {1, {"--company="}},
        {2, {"--company", "a/b"}},
        {4, {"--company", "acme", "--company", "other"}},
        {3, {"--company", "acme", "--user="}},
        {4, {"--company", "acme", "--lifetime", "0"}},
        {4, {"--company", "acme", "--lifetime", "10m"}},
        {4, {"--company", "acme", "--lifetime", "99999999999999999999"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(run(usual, bad[i].count, bad[i].arguments), 2);
        assert_string_equal(output, "");
        assert_non_null(strstr(errors, "Usage: sluice token"));
    }
}

static void settings_without_a_usable_secret_are_told(void **state)
{
    static const char *const open[] = {"AUTH_MODE", "none", NULL};
    static const char *const missing[] = {"AUTH_MODE", "jwt", "JWT_SECRET_FILE", "/nowhere/at/all", NULL};
    static const char *const other[] = {"AUTH_MODE", "jwt", "JWT_SECRET", SECRET, "JWT_ALGORITHMS", "RS256", NULL};
    char path[] = "/tmp/sluice-token-test-XXXXXX";
    const char *const weak[] = {"AUTH_MODE", "jwt", "JWT_SECRET_FILE", path, NULL};
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "short\n", 6), 6);
    close(fd);
    assert_int_equal(RUN(open, "--company", "acme"), 2);
    assert_non_null(strstr(errors, "JWT_SECRET_FILE"));
    assert_int_equal(RUN(weak, "--company", "acme"), 2);
    assert_non_null(strstr(errors, "JWT_SECRET_FILE: a secret of 5 bytes can be guessed"));
    unlink(path);
    assert_int_equal(RUN(missing, "--company", "acme"), 1);
    assert_non_null(strstr(errors, "JWT_SECRET_FILE: "));
    assert_int_equal(RUN(other, "--company", "acme"), 2);
    assert_non_null(strstr(errors, "JWT_ALGORITHMS"));
    assert_string_equal(output, "");
}

static void a_text_that_is_no_utf_8_is_told(void **state)
{
    (void)state;
    assert_int_equal(RUN(usual, "--company", "acme", "--user", "\xff"), 1);
    assert_string_equal(output, "");
    assert_non_null(strstr(errors, "UTF-8"));
}

static void a_token_that_cannot_be_written_is_a_failure(void **state)
{
    struct token_request request = {.company = "acme", .lifetime_s = 60};
    struct buffer problems = buffer_make(4096);
    struct config config;
    FILE *full = fopen("/dev/full", "w");
    FILE *err = fmemopen(errors, sizeof errors, "w");

    (void)state;
    assert_non_null(full);
    assert_non_null(err);
    assert_int_equal(config_load(&config, 0, NULL, look_up, (void *)(uintptr_t)usual, &problems), 0);
    assert_int_equal(token_run(&config, &request, full, err), 1);
    config_release(&config);
    buffer_release(&problems);
    fclose(full);
    fclose(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_good_for_its_company_and_user_as_long_as_it_says),
        cmocka_unit_test(it_says_what_the_settings_ask_for),
        cmocka_unit_test(bad_usage_is_told_and_makes_no_token),
        cmocka_unit_test(settings_without_a_usable_secret_are_told),
        cmocka_unit_test(a_text_that_is_no_utf_8_is_told),
        cmocka_unit_test(a_token_that_cannot_be_written_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
