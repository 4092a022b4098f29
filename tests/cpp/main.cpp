// Compiles Boost.Test once, with its main function.
#define BOOST_TEST_MODULE grantwheel
#include <boost/test/included/unit_test.hpp>
