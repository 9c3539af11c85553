# Flags of every target of ours; a dependency never sees them.
add_library(house INTERFACE)
target_include_directories(house INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(house INTERFACE _GNU_SOURCE)
target_compile_options(house INTERFACE
	-Wall -Wextra -Wpedantic -Werror -Wconversion -Wshadow -Wformat=2 -Wcast-qual -Wundef -Wvla
	-Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
	-fno-common -fstack-protector-strong -fvisibility=hidden -fno-strict-aliasing
	$<$<C_COMPILER_ID:Clang>:-Wno-format-nonliteral>
	$<$<C_COMPILER_ID:GNU>:-Wno-format-nonliteral>
	$<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
if(NEONFERRY_FAULTS)
	if(CMAKE_BUILD_TYPE STREQUAL "Release")
		message(FATAL_ERROR "NEONFERRY_FAULTS is for tests only")
	endif()
	target_compile_definitions(house INTERFACE NEONFERRY_FAULTS)
endif()
if(NEONFERRY_SANITIZE)
	target_compile_options(house INTERFACE -fsanitize=${NEONFERRY_SANITIZE} -fno-omit-frame-pointer
		-fno-sanitize-recover=all)
	target_link_options(house INTERFACE -fsanitize=${NEONFERRY_SANITIZE})
endif()

# The fuzzer steers by the branches that the layers take, so all of them are instrumented.
if(NEONFERRY_FUZZ)
	if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
		message(FATAL_ERROR "NEONFERRY_FUZZ needs clang")
	endif()
	target_compile_options(house INTERFACE -fsanitize=fuzzer-no-link,address,undefined
		-fno-omit-frame-pointer -fno-sanitize-recover=all)
	target_link_options(house INTERFACE -fsanitize=address,undefined)
endif()

# A layer is a static library of all .c files of a folder over the layers below it: an upward call
# does not link, and the test layers.order refuses an upward include.
function(add_layer name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "EXCEPT" "BELOW")
	file(GLOB sources CONFIGURE_DEPENDS ${name}/*.c)
	if(arg_EXCEPT)
		list(FILTER sources EXCLUDE REGEX "/${arg_EXCEPT}\\.c$")
	endif()
	if(NOT sources)
		file(WRITE ${CMAKE_BINARY_DIR}/${name}_empty.c "typedef int empty_layer;\n")
		set(sources ${CMAKE_BINARY_DIR}/${name}_empty.c)
	endif()
	add_library(${name} STATIC ${sources})
	target_link_libraries(${name} PUBLIC ${arg_BELOW} PRIVATE house)
	target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
endfunction()
