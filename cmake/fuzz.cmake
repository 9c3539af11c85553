# A fuzz target is tests/fuzz/<layer>/fuzz_<name>.c, over that layer and those below it, with kept
# inputs in tests/fuzz/corpus/<name>/. Every build replays the kept inputs; with NEONFERRY_FUZZ, clang's
# fuzzer also looks for new ones for 5 seconds.
# The target "fuzzers" is all of them and nothing else.
add_custom_target(fuzzers)
function(add_fuzz_target source)
	get_filename_component(name ${source} NAME_WE)
	string(REGEX REPLACE "^fuzz_" "" name ${name})
	get_filename_component(layer ${source} DIRECTORY)
	get_filename_component(layer ${layer} NAME)
	set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})

	add_executable(replay_${name} ${source} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
	target_include_directories(replay_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz)
	target_link_libraries(replay_${name} PRIVATE ${layer} house)
	add_test(NAME fuzz.replay.${name} COMMAND replay_${name} ${corpus})
	set_tests_properties(fuzz.replay.${name} PROPERTIES TIMEOUT 120)
	if(NOT NEONFERRY_FUZZ)
		return()
	endif()

	add_executable(fuzz_${name} ${source})
	add_dependencies(fuzzers fuzz_${name})
	target_include_directories(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz)
	target_link_libraries(fuzz_${name} PRIVATE ${layer} house)
	target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
	set(found ${CMAKE_BINARY_DIR}/fuzz/${name})
	file(MAKE_DIRECTORY ${found})
	add_test(NAME fuzz.run.${name}
		COMMAND fuzz_${name} -max_total_time=5 -timeout=5 -rss_limit_mb=1024
			-artifact_prefix=${CMAKE_BINARY_DIR}/fuzz/${name}- ${found} ${corpus})
	set_tests_properties(fuzz.run.${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
endfunction()
