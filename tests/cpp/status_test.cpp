#include <map>
#include <set>

#include "support.hpp"

namespace grantwheel::test {

namespace {

struct Listed {
    Status status;
    std::int32_t inner;
    std::string_view name;
    std::string_view text;
};

#define GRANTWHEEL_LISTED(name, NAME, inner, text) Listed{Status::name, inner, #name, text},
constexpr std::array listed{GRANTWHEEL_STATUS_LIST(GRANTWHEEL_LISTED)};
#undef GRANTWHEEL_LISTED

}  // namespace

BOOST_AUTO_TEST_SUITE(status)

BOOST_AUTO_TEST_CASE(the_public_code_of_every_status_is_that_of_the_documentation) {
    const std::map<std::int32_t, std::set<std::string_view>> expected{
        {-1, {"time_backwards", "time_out_of_range", "argument_invalid", "in_callback"}},
        {0, {"ok"}},
        {201, {"permission_denied"}},
        {202, {"not_system_app"}},
        {401,
         {"argument_count", "reason_invalid", "resource_types_invalid", "is_apply_invalid", "timeout_invalid",
          "is_persist_invalid", "is_process_invalid", "cpu_level_argument_invalid", "subscriber_null"}},
        {9800001, {"out_of_memory"}},
        {9800002, {"parcel_failed"}},
        {9800003, {"transaction_failed"}},
        {9800004, {"not_ready", "not_connected"}},
        {9800005, {"subscribed_twice", "subscriber_unknown"}},
        {18700001,
         {"request_invalid", "identity_invalid", "level_invalid", "level_not_configured", "level_bundle_unknown",
          "level_above_limit"}},
        {18700002, {"query_parcel_failed"}},
        {18700004, {"query_not_ready", "query_not_connected"}},
    };
    std::map<std::int32_t, std::set<std::string_view>> found;
    for (const Listed& entry : listed) found[public_code(entry.status)].insert(entry.name);
    BOOST_CHECK(found == expected);
}

BOOST_AUTO_TEST_CASE(the_inner_codes_are_those_of_the_documentation) {
    const std::map<std::string_view, std::int32_t> expected{
        {"argument_count", 9800401},          {"reason_invalid", 9800402},
        {"resource_types_invalid", 9800413},  {"is_apply_invalid", 9800414},
        {"timeout_invalid", 9800415},         {"is_persist_invalid", 9800416},
        {"is_process_invalid", 9800417},      {"cpu_level_argument_invalid", 9800418},
        {"out_of_memory", 980000101},         {"parcel_failed", 980000201},
        {"transaction_failed", 980000301},    {"not_ready", 980000401},
        {"not_connected", 980000402},         {"subscribed_twice", 980000501},
        {"subscriber_unknown", 980000502},    {"request_invalid", 1870000101},
        {"identity_invalid", 1870000102},     {"level_invalid", 1870000107},
        {"level_not_configured", 1870000108}, {"level_bundle_unknown", 1870000109},
        {"level_above_limit", 1870000111},    {"query_parcel_failed", 1870000201},
        {"query_not_ready", 1870000401},      {"query_not_connected", 1870000402},
    };
    for (const Listed& entry : listed) {
        if (entry.inner <= 999) continue;  // 201, 202, 401 and the errors of the host are codes of their own
        BOOST_TEST_CONTEXT(entry.name) {
            BOOST_REQUIRE(expected.contains(entry.name));
            BOOST_CHECK_EQUAL(entry.inner, expected.at(entry.name));
        }
    }
    BOOST_CHECK_EQUAL(listed.size(), expected.size() + 8);
}

BOOST_AUTO_TEST_CASE(every_inner_code_and_name_is_there_once) {
    std::set<std::int32_t> codes;
    std::set<std::string_view> names;
    for (const Listed& entry : listed) {
        BOOST_CHECK_EQUAL(static_cast<std::int32_t>(entry.status), entry.inner);
        BOOST_CHECK_MESSAGE(codes.insert(entry.inner).second, entry.name);
        BOOST_CHECK_MESSAGE(names.insert(entry.name).second, entry.name);
    }
}

BOOST_AUTO_TEST_CASE(names_and_texts_are_those_of_the_list) {
    for (const Listed& entry : listed) {
        BOOST_CHECK_EQUAL(status_name(entry.status), entry.name);
        BOOST_CHECK_EQUAL(status_text(entry.status), entry.text);
        BOOST_CHECK(!entry.text.empty());
    }
    BOOST_CHECK_EQUAL(status_name(static_cast<Status>(12345)), "unknown");
    BOOST_CHECK_EQUAL(status_text(static_cast<Status>(12345)), "unknown");
}

BOOST_AUTO_TEST_CASE(every_public_code_has_one_class_and_a_status) {
    std::set<std::int32_t> raised;
    for (const Listed& entry : listed) raised.insert(public_code(entry.status));
    raised.erase(0);
    raised.erase(-1);
    std::set<std::int32_t> codes;
    std::set<std::string_view> classes;
#define GRANTWHEEL_PUBLIC(code, python_class, message) \
    BOOST_CHECK(codes.insert(code).second);            \
    BOOST_CHECK(classes.insert(#python_class).second); \
    BOOST_CHECK(!std::string_view{message}.empty());
    GRANTWHEEL_PUBLIC_LIST(GRANTWHEEL_PUBLIC)
#undef GRANTWHEEL_PUBLIC
    BOOST_CHECK(codes == raised);
}

BOOST_AUTO_TEST_CASE(the_types_are_the_nine_bits_of_all) {
    Mask all = 0;
    int position = 0;
#define GRANTWHEEL_TYPE(name, bit)                   \
    BOOST_CHECK_EQUAL(bit, position++);              \
    BOOST_CHECK_EQUAL(type::name, Mask{1} << (bit)); \
    all |= type::name;
    GRANTWHEEL_TYPE_LIST(GRANTWHEEL_TYPE)
#undef GRANTWHEEL_TYPE
    BOOST_CHECK_EQUAL(position, type_count);
    BOOST_CHECK_EQUAL(all, ALL);
    BOOST_CHECK_EQUAL(ALL, 511u);
    BOOST_CHECK_EQUAL(RETAINED, 12u);
}

BOOST_AUTO_TEST_CASE(owners_are_listed_apps_first_then_by_key) {
    constexpr Owner app_small{OwnerKind::app, 1};
    constexpr Owner app_large{OwnerKind::app, 0xFFFF'FFFE};
    constexpr Owner process_small{OwnerKind::process, 0};
    BOOST_CHECK(app_small < app_large);
    BOOST_CHECK(app_large < process_small);
    BOOST_CHECK(process_small == process_small);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
