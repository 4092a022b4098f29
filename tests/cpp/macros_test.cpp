// That the public headers can do with the macros of others. What has to compile is in macros.cpp.
#include <boost/test/unit_test.hpp>

namespace grantwheel::test {

bool names_survive_macros();

BOOST_AUTO_TEST_SUITE(macros)

BOOST_AUTO_TEST_CASE(names_of_public_headers_survive_the_macros_of_common_ones) { BOOST_CHECK(names_survive_macros()); }

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
