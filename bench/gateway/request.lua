-- wrk: one chat completion with a prompt of @PROMPT_BYTES@ bytes, as fast as answers come.
wrk.method = "POST"
wrk.path = "/v1/chat/completions"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer none"
wrk.body = '{"model":"bench","messages":[{"role":"user","content":"' .. string.rep("x", @PROMPT_BYTES@) .. '"}]}'
