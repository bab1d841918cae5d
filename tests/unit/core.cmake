# Tests named here are built; see CMakeLists.txt.
add_library(sluice_test_sse STATIC core/sse_parser.c)
target_link_libraries(sluice_test_sse PUBLIC sluice_flags)

sluice_unit_test(core/frame_test sluice_core sluice_test_sse)
sluice_unit_test(core/event_id_test sluice_core)
sluice_unit_test(core/ring_test sluice_core)
