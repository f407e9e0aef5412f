-- wrk: one chat completion with a prompt of @PROMPT_BYTES@ bytes, every @DELAY_MS@ ms per connection (0: at once).
wrk.method = "POST"
wrk.path = "/v1/chat/completions"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer @KEY@"
wrk.body = '{"model":"bench","messages":[{"role":"user","content":"' .. string.rep("x", @PROMPT_BYTES@) .. '"}]}'

local delay_ms = @DELAY_MS@
if delay_ms > 0 then
  -- Spread, so that the connections do not march in step.
  function delay() return math.random(0, 2 * delay_ms) end
end
