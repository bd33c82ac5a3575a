# Compiles SOURCE to OBJECT with NVCC and FLAGS. Registers that ptxas put to memory for want of room
# ("spill stores") fail the build: every kernel is meant to fit.
get_filename_component(folder ${OBJECT} DIRECTORY)
file(MAKE_DIRECTORY ${folder})
execute_process(
  COMMAND ${NVCC} ${FLAGS} -Xptxas=-v -MD -MF ${OBJECT}.d -MT ${OBJECT} -c ${SOURCE} -o ${OBJECT}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE report)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${output}${report}")
endif()
file(WRITE ${OBJECT}.ptxas.txt "${report}")
string(REGEX MATCHALL "ptxas info[^\n]*Compiling entry function[^\n]*\n(ptxas info[^\n]*\n|[^\n]*bytes stack frame[^\n]*\n)*" kernels "${report}")
set(spilled "")
foreach(kernel ${kernels})
  if(kernel MATCHES "[1-9][0-9]* bytes spill stores")
    string(APPEND spilled "${kernel}")
  endif()
endforeach()
if(spilled)
  file(REMOVE ${OBJECT})
  message(FATAL_ERROR "registers are spilled in ${SOURCE}:\n${spilled}")
endif()
