# The CUDA plugin (csrc/cuda/plugin.h), twice from the same sources:
#
#   cria_cuda_emulated  libcria_cuda_emulated.so: g++ and csrc/cuda/emulation/; with CRIA_TESTS
#   cria_cuda           libcria_cuda.so: nvcc, where there is one; on request, for it takes minutes.
#                       A kernel that spills registers is an error.
#
# and test/cuda/ as the CTest `cuda`, with `cuda_plugin` beside it where nvcc is found.
file(GLOB cuda_device CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/cuda/device/*.cu)

if(CRIA_TESTS)
  file(GLOB cuda_emulation CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/cuda/emulation/*.cpp)
  # C++ to g++ in spite of their names. (nvcc has its own rule below, not CMake's language.)
  set_source_files_properties(${cuda_device} PROPERTIES LANGUAGE CXX)
  add_library(cria_cuda_emulation STATIC ${cuda_device} ${cuda_emulation})
  target_link_libraries(cria_cuda_emulation PUBLIC cria_quant)
  # As nvcc has it: memory is read as what it is read as, and loops are unrolled where that is said.
  target_compile_options(cria_cuda_emulation PUBLIC -fno-strict-aliasing -Wno-unknown-pragmas)
  if(CRIA_SANITIZE)
    target_compile_options(cria_cuda_emulation PRIVATE -O1)
  endif()
  add_library(cria_cuda_emulated SHARED ${PROJECT_SOURCE_DIR}/csrc/cuda/emulation/plugin.cc)
  target_link_libraries(cria_cuda_emulated PRIVATE -Wl,--whole-archive cria_cuda_emulation
    -Wl,--no-whole-archive)
  cria_test(cuda cria_cuda_emulation cria_sampling)
endif()

find_program(CRIA_NVCC nvcc DOC "CUDA compiler for the plugin")
if(CRIA_NVCC AND NOT CRIA_SANITIZE)
  set(cuda_architectures 75 80 86 89 90a 100 120)
  set(cuda_flags -std=c++20 -O3 -fmad=false -I${PROJECT_SOURCE_DIR}/csrc
    -Xcompiler=-fPIC,-fvisibility=hidden,-ffp-contract=off)
  foreach(architecture ${cuda_architectures})
    list(APPEND cuda_flags -gencode=arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  list(APPEND cuda_flags -gencode=arch=compute_120,code=compute_120)
  set(cuda_objects)
  foreach(source ${cuda_device})
    get_filename_component(name ${source} NAME)
    set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${CMAKE_COMMAND} -DNVCC=${CRIA_NVCC} -DSOURCE=${source} -DOBJECT=${object}
        "-DFLAGS=${cuda_flags}" -P ${PROJECT_SOURCE_DIR}/cmake/nvcc.cmake
      DEPENDS ${source} ${PROJECT_SOURCE_DIR}/cmake/nvcc.cmake
      DEPFILE ${object}.d VERBATIM)
    list(APPEND cuda_objects ${object})
  endforeach()
  set(cuda_plugin ${CMAKE_BINARY_DIR}/libcria_cuda.so)
  add_custom_command(OUTPUT ${cuda_plugin}
    COMMAND ${CRIA_NVCC} -shared -cudart=static -Xlinker=--no-undefined -Xlinker=--exclude-libs=ALL
      -o ${cuda_plugin} ${cuda_objects}
    DEPENDS ${cuda_objects} VERBATIM)
  add_custom_target(cria_cuda DEPENDS ${cuda_plugin})
  if(CRIA_TESTS)
    add_test(NAME cuda_plugin COMMAND ${CMAKE_COMMAND} --build ${CMAKE_BINARY_DIR} --target cria_cuda)
  endif()
endif()
