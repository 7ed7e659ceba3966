-- The same policy in nginx: as many of the guard's checks as fit into one access handler, written to be fast.
--
-- Key by SHA-256, strict names of fields, the account, market, symbol, side, type, time in force, quantity and value, three exact
-- sliding windows, duplicates, money and orders of the day, a hash-chained audit line for each decision and each outcome,
-- counters in shared memory. With `synced` an order's line is on the disk before the order is sent: one fdatasync an
-- order, the plain recipe, since a worker of nginx cannot go on while one call waits.
--
-- It does less than the guard: numbers are doubles, names given twice pass (cjson takes the last), all counters are gone with the process, the
-- first rule that fails ends the judging, nothing is settled after a lost answer.

local cjson, ffi, bit = require "cjson.safe", require "ffi", require "bit"
ffi.cdef [[
  unsigned char *SHA256(const unsigned char *data, size_t size, unsigned char *digest);
  int open(const char *path, int flags, ...);
  ssize_t write(int descriptor, const void *data, size_t size);
  int fdatasync(int descriptor);
]]
local crypto = ffi.load("crypto.so.3")
local O_WRONLY, O_CREAT, O_APPEND = 1, 64, 1024
local now, floor, gsub, byte = ngx.now, math.floor, string.gsub, string.byte

local M = {}
local settings, audit, last = nil, nil, string.rep("0", 64)
local windows, spent, orders, seen, seen_order = {}, {}, {}, {}, { first = 1, last = 0 }
local digest, hex = ffi.new("unsigned char[32]"), {}
for value = 0, 255 do hex[value] = string.format("%02x", value) end

local ORDER_FIELDS = { market = true, acc_id = true, env = true, side = true, code = true, qty = true, price = true,
  remark = true, order_type = true, time_in_force = true }
local QUOTE_FIELDS = { symbol = true }
local MARKETS = { HK = 1, US = 2 }
local SIDES = { BUY = 1, SELL = 2 }

local parts = {}
local function sha256(text)
  crypto.SHA256(text, #text, digest)
  for at = 0, 31 do parts[at + 1] = hex[digest[at]] end
  return table.concat(parts, "", 1, 32)
end

function M.setup(path)
  local file = assert(io.open(path))
  settings = assert(cjson.decode(file:read("*a")))
  file:close()
  M.authorization = "Bearer " .. settings.daemon_key
  for _, name in ipairs { "types", "times" } do
    local set = {}
    for _, word in ipairs(settings[name]) do set[word] = true end
    settings[name] = set
  end
end

function M.open()
  audit = ffi.C.open(settings.audit, bit.bor(O_WRONLY, O_CREAT, O_APPEND), ffi.cast("int", 384))
  assert(audit >= 0, "the audit file cannot be opened")
end

-- `text` is the line's members without braces; `prev` comes last.
local function write(text)
  local line = '{"ts":' .. now() .. "," .. text .. ',"prev":"' .. last .. '"}'
  last = sha256(line)
  line = line .. "\n"
  assert(ffi.C.write(audit, line, #line) == #line)
end

local function refuse(status, code, message, order)
  ngx.shared.counts:incr("refused " .. code, 1, 0)
  if order then
    write('"type":"decision","id":"' .. ngx.ctx.id .. '","key":"' .. ngx.ctx.key .. '","outcome":"refuse","code":"' .. code
      .. '","order":' .. cjson.encode(order))
  end
  ngx.status = status
  ngx.header["Content-Type"] = "application/json"
  ngx.print(cjson.encode { ret_type = -1, ret_msg = message, err_code = code })
  return ngx.exit(status)
end

local function caller()
  local header = ngx.var.http_authorization or ""
  local key = header:sub(1, 7) == "Bearer " and settings.keys[sha256(header:sub(8))]
  if not key then return refuse(401, "unauthenticated", "a valid key is needed") end
  ngx.ctx.key = key
  return key
end

local function body_of(known)
  ngx.req.read_body()
  local body = cjson.decode(ngx.req.get_body_data() or "")
  if type(body) ~= "table" then return refuse(400, "bad_json", "the body is not JSON") end
  for name in pairs(body) do
    if not known[name] then return refuse(400, "unknown_field", "unknown: " .. name) end
  end
  return body
end

-- One more in an exact sliding window; false where there is no room.
local function rate(name, cap, seconds, at)
  local window = windows[name]
  if not window then
    window = { first = 1, last = 0 }
    windows[name] = window
  end
  while window.first <= window.last and window[window.first] <= at - seconds do
    window[window.first] = nil
    window.first = window.first + 1
  end
  if window.last - window.first + 1 >= cap then return false end
  window.last = window.last + 1
  window[window.last] = at
  return true
end

local function is_duplicate(mark, at)
  local until_s = seen[mark]
  if until_s and until_s > at then return true end
  seen[mark] = at + settings.duplicate_window_s
  seen_order.last = seen_order.last + 1
  seen_order[seen_order.last] = mark
  while seen_order.first <= seen_order.last and seen[seen_order[seen_order.first]] <= at do
    seen[seen_order[seen_order.first]] = nil
    seen_order[seen_order.first] = nil
    seen_order.first = seen_order.first + 1
  end
  return false
end

local function judge(order, key)
  local qty, price, symbol = order.qty, order.price, order.market .. "." .. order.code
  if order.env ~= "simulate" or order.acc_id ~= settings.acc_id then return 403, "account" end
  if not MARKETS[order.market] then return 403, "market" end
  if symbol == settings.blocked or not (symbol:sub(1, 3) == "HK." or symbol:sub(1, 3) == "US.") then return 403, "symbol" end
  if not SIDES[order.side] then return 403, "side" end
  if not settings.types[order.order_type or "NORMAL"] then return 403, "order_type" end
  if not settings.times[order.time_in_force or "DAY"] then return 403, "time_in_force" end
  if type(qty) ~= "number" or type(price) ~= "number" then return 400, "bad_number" end
  if qty <= 0 or qty > settings.qty_max then return 403, "max_order_qty" end
  local value, at = qty * price, now()
  if value > settings.order_value_max or value > settings.key_order_value_max then return 403, "max_order_value" end
  local mark = table.concat({ key, symbol, order.side, order.order_type or "", qty, price, order.remark or "" }, "|")
  if is_duplicate(sha256(mark), at) then return 409, "duplicate_order" end
  local day = key .. "|" .. floor(at / 86400)
  local money, count = (spent[day] or 0) + value, (orders[day] or 0) + 1
  if money > settings.daily_value_max then return 403, "daily_value" end
  if count > settings.orders_per_day_max then return 403, "orders_per_day" end
  if not rate("orders/" .. key, settings.rate_max, 60, at) then return 429, "rate" end
  if not rate("new_orders/" .. key, settings.rate_max, settings.order_window_s, at) then return 429, "rate" end
  spent[day], orders[day] = money, count
end

function M.quote()
  local key = caller()
  body_of(QUOTE_FIELDS)
  if not rate("reads/" .. key, settings.rate_max, settings.read_window_s, now()) then
    return refuse(429, "rate", "too many reads")
  end
  ngx.req.set_header("Authorization", M.authorization)
  ngx.shared.counts:incr("quote", 1, 0)
end

function M.order()
  local ctx = ngx.ctx
  ctx.id = ngx.var.request_id
  local key = caller()
  local order = body_of(ORDER_FIELDS)
  local status, code = judge(order, key)
  if status then return refuse(status, code, "refused by " .. code, order) end
  write('"type":"decision","id":"' .. ctx.id .. '","key":"' .. key .. '","outcome":"allow","order":' .. cjson.encode(order))
  if settings.synced then assert(ffi.C.fdatasync(audit) == 0) end
  ngx.req.set_header("Authorization", M.authorization)
  ngx.req.set_body_data(cjson.encode { c2s = {
    header = { trd_env = 0, acc_id = order.acc_id, trd_market = MARKETS[order.market] },
    trd_side = SIDES[order.side], order_type = 1, code = order.code, qty = order.qty, price = order.price,
    remark = order.remark or ctx.id,
  } })
  ngx.shared.counts:incr("order", 1, 0)
end

-- The answer of an order as it passes: its outcome is written at its end.
function M.outcome()
  local ctx = ngx.ctx
  if not ctx.id or ngx.status ~= 200 then return end
  ctx.answer = (ctx.answer or "") .. (ngx.arg[1] or "")
  if not ngx.arg[2] then return end
  local answer = cjson.decode(ctx.answer)
  local s2c = answer and answer.s2c or {}
  write('"type":"outcome","decision":"' .. ctx.id .. '","status":' .. ngx.status .. ',"order_id":"' .. (s2c.order_id_ex or "") .. '"')
end

return M
