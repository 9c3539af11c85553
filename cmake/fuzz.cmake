# A fuzz target is tests/fuzz/<layer>/fuzz_<name>.c, over that layer and those below it, with kept
# inputs in tests/fuzz/corpus/<name>/. Every build replays the kept inputs; with NEONFERRY_FUZZ, clang's
# fuzzer also makes new ones: for 5 seconds the same ones each time, so that the gate judges the change
# and not luck; with NEONFERRY_FUZZ_SECONDS, others each time, for so long. What is found becomes a kept input.
set(NEONFERRY_FUZZ_SECONDS "" CACHE STRING "seconds that each fuzzer looks for inputs never tried before")
set(fuzz_options -max_total_time=5 -seed=1)
set(fuzz_timeout 120)
if(NEONFERRY_FUZZ_SECONDS)
	set(fuzz_options -max_total_time=${NEONFERRY_FUZZ_SECONDS})
	math(EXPR fuzz_timeout "${NEONFERRY_FUZZ_SECONDS} + 120")
endif()
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
	file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz/${name})
	if(NEONFERRY_FUZZ_SECONDS) # what it finds is kept: the next search begins there
		set(inputs ${CMAKE_BINARY_DIR}/fuzz/${name} ${corpus})
	else() # as files, for of folders the first is written to
		file(GLOB inputs CONFIGURE_DEPENDS ${corpus}/*)
		string(REPLACE ";" "," inputs "-seed_inputs=${inputs}")
	endif()
	add_test(NAME fuzz.run.${name}
		COMMAND fuzz_${name} ${fuzz_options} -timeout=5 -rss_limit_mb=1024
			-artifact_prefix=${CMAKE_BINARY_DIR}/fuzz/${name}- ${inputs})
	set_tests_properties(fuzz.run.${name} PROPERTIES TIMEOUT ${fuzz_timeout} LABELS fuzz)
endfunction()
