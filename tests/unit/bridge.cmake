# Tests named here are built; see CMakeLists.txt.

# What several tests stand on: a clock, a source, a store, sockets and clients that the test drives.
add_library(sluice_test_bridge OBJECT support/bridge_rig.c support/fake_clock.c support/fake_shelf.c support/fake_source.c
                                      support/fake_store.c)
target_link_libraries(sluice_test_bridge PRIVATE sluice_flags)
target_include_directories(sluice_test_bridge PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
add_library(sluice_test_http OBJECT support/fake_socket.c support/sse_reader.c support/stream_rig.c
                                    support/worker_rig.c)
target_link_libraries(sluice_test_http PRIVATE sluice_flags)
target_include_directories(sluice_test_http PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
# What only the tests of the hub, and of the seam between bridge and workers, stand on.
add_library(sluice_test_hub OBJECT support/hub_rig.c)
target_link_libraries(sluice_test_hub PRIVATE sluice_flags lib_cmocka)
target_include_directories(sluice_test_hub PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
add_library(sluice_test_seam OBJECT support/seam_model.c support/seam_world.c)
target_link_libraries(sluice_test_seam PRIVATE sluice_flags lib_cmocka)
target_include_directories(sluice_test_seam PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})

set(sluice_bridge_parts sluice_test_bridge sluice_bridge sluice_replay sluice_core)
set(sluice_http_parts sluice_test_http sluice_test_bridge sluice_http sluice_bridge sluice_replay sluice_core)
set(sluice_fake_sockets LINKER:--wrap=send,--wrap=sendmsg,--wrap=close)

sluice_unit_test(bridge/publish_rate_test sluice_bridge sluice_core)
sluice_unit_test(bridge/live_test sluice_bridge sluice_core)
sluice_unit_test(bridge/shadow_test ${sluice_bridge_parts})
sluice_unit_test(bridge/intake_test ${sluice_bridge_parts})
sluice_unit_test(bridge/source_control_test sluice_test_loopback sluice_bridge sluice_core Threads::Threads)
target_sources(bridge_source_control_test PRIVATE bridge/nats_server.c)
sluice_unit_test(bridge/intake_rate_test ${sluice_bridge_parts})
sluice_unit_test(bridge/appender_test ${sluice_bridge_parts})
sluice_unit_test(bridge/hub_test sluice_test_hub ${sluice_bridge_parts})
sluice_unit_test(bridge/hub_gap_test sluice_test_hub ${sluice_bridge_parts})
sluice_unit_test(bridge/resume_test sluice_test_hub ${sluice_bridge_parts})
sluice_unit_test(http/channel_test ${sluice_http_parts})
target_link_options(http_channel_test PRIVATE ${sluice_fake_sockets})
sluice_unit_test(http/stream_test ${sluice_http_parts})
target_link_options(http_stream_test PRIVATE ${sluice_fake_sockets})
sluice_unit_test(http/stream_filter_test ${sluice_http_parts})
target_link_options(http_stream_filter_test PRIVATE ${sluice_fake_sockets})
sluice_unit_test(http/stream_refill_test ${sluice_http_parts})
target_link_options(http_stream_refill_test PRIVATE ${sluice_fake_sockets})
sluice_unit_test(http/stream_since_test ${sluice_http_parts})
target_link_options(http_stream_since_test PRIVATE ${sluice_fake_sockets})
sluice_unit_test(http/stream_spread_test ${sluice_http_parts})
target_link_options(http_stream_spread_test PRIVATE ${sluice_fake_sockets})
sluice_unit_test(http/seam_test sluice_test_seam ${sluice_http_parts})
set_tests_properties(http/seam_test PROPERTIES TIMEOUT 900) # all short schedules, under ThreadSanitizer too
target_link_options(http_seam_test PRIVATE ${sluice_fake_sockets} LINKER:--wrap=hub_publish)
