# Taken in by llama.cpp's own build (CMAKE_PROJECT_INCLUDE, set in .cargo/config.toml) to spend less time on code that is
# not on the way of a token. What computes (ggml), samples and tokenises is built as its authors mean it, at -O3.
#
# - llama-common is needed for one function, JSON schema to grammar, once a request: -O1, and its files are compiled in
#   batches, since each reads the same large headers.
# - The many files that build the graphs of models, once a batch, are most of what is left: -O1.
if(PROJECT_NAME STREQUAL "llama.cpp" AND NOT HERMETIC_TUNED)
    set(HERMETIC_TUNED ON)
    function(hermetic_tune)
        if(TARGET llama-common)
            set_target_properties(llama-common PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 13)
            # It specialises templates that the others use, so it cannot stand behind one of them.
            set_source_files_properties("${CMAKE_SOURCE_DIR}/common/json.cpp"
                TARGET_DIRECTORY llama-common PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
            target_compile_options(llama-common PRIVATE -O1)
        endif()
        if(TARGET llama)
            target_compile_options(llama PRIVATE -O1)
            foreach(name llama-batch llama-context llama-grammar llama-kv-cache llama-sampler llama-vocab unicode)
                set_source_files_properties("${CMAKE_SOURCE_DIR}/src/${name}.cpp"
                    TARGET_DIRECTORY llama PROPERTIES COMPILE_OPTIONS -O3)
            endforeach()
        endif()
    endfunction()
    cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL hermetic_tune)
endif()
