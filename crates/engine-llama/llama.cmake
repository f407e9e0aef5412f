# Taken in by llama.cpp's own build (CMAKE_PROJECT_INCLUDE, set in .cargo/config.toml) to spend less time on code that is
# not on the way of a token, and none on code that is never called. What computes (ggml) and samples is built as its
# authors mean it, at -O3.
#
# - llama-common is needed for one function, JSON schema to grammar, once a request. Only what the binding's wrapper
#   reaches is compiled, at -O1 and in batches, since each file reads the same large headers. Its chat templates,
#   command lines and downloads are left out, and with them the HTTP client.
# - The many files that build the graphs of models, once a batch, and those that read model files are most of what is
#   left: -O1.
if(PROJECT_NAME STREQUAL "llama.cpp" AND NOT HERMETIC_TUNED)
    set(HERMETIC_TUNED ON)

    function(hermetic_tune_common)
        # A file that is missing here shows as an undefined symbol when `hermetic` is linked.
        set(reached common fit json json-schema json-schema-to-grammar llguidance log ngram-cache ngram-map ngram-mod
            reasoning-budget sampling speculative trie unicode)
        get_target_property(sources llama-common SOURCES)
        foreach(source ${sources})
            get_filename_component(name "${source}" NAME_WE)
            get_filename_component(folder "${source}" DIRECTORY)
            list(FIND reached "${name}" found)
            if(source MATCHES "\\.cpp$" AND (found EQUAL -1 OR NOT folder STREQUAL ""))
                get_filename_component(path "${source}" ABSOLUTE BASE_DIR "${CMAKE_SOURCE_DIR}/common")
                set_source_files_properties("${path}"
                    TARGET_DIRECTORY llama-common PROPERTIES HEADER_FILE_ONLY ON)
            endif()
        endforeach()
        get_target_property(libraries llama-common LINK_LIBRARIES)
        list(FILTER libraries EXCLUDE REGEX "httplib")
        set_target_properties(llama-common PROPERTIES LINK_LIBRARIES "${libraries}"
            UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 7)
        # It specialises templates that the others use, so it cannot stand behind one of them.
        set_source_files_properties("${CMAKE_SOURCE_DIR}/common/json.cpp"
            TARGET_DIRECTORY llama-common PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
        target_compile_options(llama-common PRIVATE -O1)
        if(TARGET cpp-httplib)
            set_target_properties(cpp-httplib PROPERTIES EXCLUDE_FROM_ALL ON)
        endif()
    endfunction()

    function(hermetic_tune)
        if(TARGET llama-common)
            hermetic_tune_common()
        endif()
        if(TARGET llama)
            target_compile_options(llama PRIVATE -O1)
            foreach(name llama-batch llama-context llama-kv-cache llama-sampler llama-vocab)
                set_source_files_properties("${CMAKE_SOURCE_DIR}/src/${name}.cpp"
                    TARGET_DIRECTORY llama PROPERTIES COMPILE_OPTIONS -O3)
            endforeach()
        endif()
        if(TARGET ggml-base)
            foreach(name gguf ggml-backend-meta ggml-opt)
                set_source_files_properties("${CMAKE_SOURCE_DIR}/ggml/src/${name}.cpp"
                    TARGET_DIRECTORY ggml-base PROPERTIES COMPILE_OPTIONS -O1)
            endforeach()
        endif()
    endfunction()
    cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL hermetic_tune)
endif()
