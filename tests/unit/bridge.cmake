# Tests named here are built; see CMakeLists.txt.
