-- Asks Twostep about a request, for haproxy.cfg in this folder. If anything fails, txn.twostep is not
-- set, and the request does not reach the app.

local server = "127.0.0.1:8080" -- or with listen = "unix:/run/twostep/twostep.sock": "unix@/run/twostep/twostep.sock"
local url = "http://127.0.0.1/auth/check?reply=401"
local asked = {"cookie", "x-forwarded-method", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri", "x-forwarded-for",
	-- For public paths: see docs/forward-auth.md.
	"origin", "access-control-request-method", "x-http-method-override", "x-http-method", "x-method-override", "x-rewrite-url",
	"x-override-url"}
local told = {"remote-user", "remote-email", "remote-name", "remote-groups", "remote-amr", "remote-acr"}

core.register_action("twostep", {"http-req"}, function(txn)
	local sent, headers = txn.http:req_get_headers(), {}
	for _, name in ipairs(asked) do
		if sent[name] then
			headers[name] = {}
			for i = 0, #sent[name] do
				table.insert(headers[name], sent[name][i])
			end
		end
	end
	headers["twostep-proxy-secret"] = {os.getenv("TWOSTEP_PROXY_SECRET") or ""}
	local answer = core.httpclient():get{url = url, dst = server, headers = headers, timeout = 10000}
	if not answer or answer.status ~= 200 then
		return
	end
	for _, name in ipairs(told) do
		local values = answer.headers[name]
		txn:set_var("txn." .. name:gsub("-", "_"), values and values[0] or "")
	end
	txn:set_var("txn.twostep", "yes")
end)
