# Tests named here are built; see CMakeLists.txt.
add_library(sluice_test_tokens STATIC auth/token_maker.c)
target_link_libraries(sluice_test_tokens PUBLIC sluice_flags lib_cmocka lib_crypto)

set(sluice_auth_parts sluice_test_tokens sluice_auth sluice_core)
sluice_unit_test(auth/jwt_test ${sluice_auth_parts})
