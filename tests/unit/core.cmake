# Tests named here are built; see CMakeLists.txt.
add_library(sluice_test_sse STATIC core/sse_parser.c)
target_link_libraries(sluice_test_sse PUBLIC sluice_flags)

sluice_unit_test(core/frame_test sluice_core sluice_test_sse)
sluice_unit_test(core/event_id_test sluice_core)
sluice_unit_test(core/ring_test sluice_core)
sluice_unit_test(core/json_test sluice_core)
sluice_unit_test(core/config_value_test sluice_core)
sluice_unit_test(core/config_test sluice_core)
sluice_unit_test(core/table_test sluice_core)
sluice_unit_test(core/buffer_test sluice_core)
sluice_unit_test(core/mailbox_test sluice_core)
sluice_unit_test(core/clock_test sluice_core)
sluice_unit_test(core/metrics_test sluice_core m)
sluice_unit_test(core/log_test sluice_core)

sluice_unit_test(auth/auth_test sluice_auth sluice_core)

sluice_unit_test(http/cors_test sluice_http sluice_core)
sluice_unit_test(http/request_test sluice_http lib_microhttpd)
sluice_unit_test(http/wheel_test sluice_http)
sluice_unit_test(http/registry_test sluice_http sluice_core)
sluice_unit_test(http/head_deadline_test sluice_http sluice_core)

add_library(sluice_test_store STATIC replay/store_client.c replay/store_suite.c)
target_link_libraries(sluice_test_store PUBLIC sluice_flags lib_cmocka)
add_library(sluice_test_redis STATIC replay/redis_server.c)
target_link_libraries(sluice_test_redis PUBLIC sluice_flags lib_cmocka)

sluice_unit_test(replay/store_memory_test sluice_test_store sluice_replay sluice_core)
sluice_unit_test(replay/store_redis_test sluice_test_store sluice_test_redis sluice_replay sluice_core)
sluice_unit_test(replay/redis_member_test sluice_replay sluice_core)
sluice_unit_test(replay/redis_url_test sluice_replay sluice_core)
