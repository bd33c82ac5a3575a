# A kernel table's objects may export functions of its own namespace alone. Any other, such as an
# inline function of the standard library compiled with AVX-512, the linker could use for the whole
# program and end it on a machine without AVX-512. (Data may be shared: it is the same everywhere.)
#
#   cmake -DNM=nm -DTABLE=avx2 "-DOBJECTS=a.o;b.o" -P symbols.cmake
foreach(variable NM TABLE OBJECTS)
  if(NOT ${variable})
    message(FATAL_ERROR "symbols.cmake needs -D${variable}=")
  endif()
endforeach()
execute_process(COMMAND ${NM} --demangle --defined-only --extern-only ${OBJECTS}
  OUTPUT_VARIABLE listing RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${NM} failed on the objects of ${TABLE}")
endif()

set(own "cria::cpu::${TABLE}::")
set(foreign "")
set(found_table FALSE)
string(REPLACE "\n" ";" lines "${listing}")
foreach(line IN LISTS lines)
  if(line MATCHES "^[0-9a-f]+ ([A-Za-z]) (.+)$")  # "0000000000000010 T cria::cpu::avx2::add(…)"
    set(kind "${CMAKE_MATCH_1}")
    set(name "${CMAKE_MATCH_2}")
    if(name STREQUAL "${own}kernels")
      set(found_table TRUE)
    elseif(kind MATCHES "[TWi]" AND NOT name MATCHES "^${own}[a-z0-9_]+\\(")
      string(APPEND foreign "\n  ${name}")
    endif()
  endif()
endforeach()
if(foreign)
  message(FATAL_ERROR "table ${TABLE} exports names that are not its own:${foreign}")
endif()
if(NOT found_table)
  message(FATAL_ERROR "table ${TABLE} does not export ${own}kernels")
endif()
