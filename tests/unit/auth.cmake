# Tests named here are built; see CMakeLists.txt.
add_library(sluice_test_tokens STATIC auth/token_maker.c)
target_link_libraries(sluice_test_tokens PUBLIC sluice_flags lib_cmocka lib_crypto)

set(sluice_auth_parts sluice_test_tokens sluice_auth sluice_core)
sluice_unit_test(auth/jwt_test ${sluice_auth_parts})
sluice_unit_test(auth/token_cache_test ${sluice_auth_parts})
add_library(sluice_test_jwks_server STATIC auth/jwks_server.c)
target_link_libraries(sluice_test_jwks_server PUBLIC sluice_flags lib_cmocka PRIVATE Threads::Threads)
sluice_unit_test(auth/key_source_test sluice_test_jwks_server ${sluice_auth_parts})
sluice_unit_test(auth/jwt_text_test ${sluice_auth_parts})
sluice_unit_test(auth/jwt_claims_test ${sluice_auth_parts})
sluice_unit_test(auth/key_set_test ${sluice_auth_parts})
sluice_unit_test(auth/revocation_message_test sluice_auth sluice_core)
