-- wrk -s post.lua URL -- [BODY_FILE] [close]    posts the file's content as JSON (GET without one), with "close" on a new connection each
function init(args)
  if args[1] and args[1] ~= "" then
    local file = assert(io.open(args[1], "rb"))
    wrk.body = file:read("*a")
    file:close()
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
  end
  if args[2] == "close" then
    wrk.headers["Connection"] = "close"
  end
end
