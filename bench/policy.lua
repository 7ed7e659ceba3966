-- The same policy in nginx: as many of the guard's checks as Lua in nginx can carry, written to be fast.
--
-- Key by SHA-256 and its scopes; strict names and types of fields; account; the policy's selectors; the key's own limits and
-- the policy's: market, symbol patterns, blocked symbols, side, type, time in force, hours, quantity, value, duplicates,
-- orders and money of the market's day, two exact sliding windows; Idempotency-Key; the kill switch. A decision has its
-- line, chained by hash, with the order, its value and the counters; its outcome has another, and money that the daemon
-- refused is free again. Answers carry the rate fields; counts stand in shared memory. With `synced` an order's line is on
-- the disk before the order is sent: one fdatasync an order, the plain recipe, since a worker of nginx cannot go on while
-- one call waits.
--
-- What it does not carry: numbers are doubles, and a name given twice passes (cjson takes the last); the first rule that
-- fails ends the judging; accounts and instruments are constants, not the daemon's lists; the market's day has a fixed
-- offset, so New York's begins an hour late in summer; hours are "always"; tokens need a library that is no package here;
-- what was counted is gone with the process; an answer that proves nothing is written down as unknown and passed on, and
-- stays unknown for good.

local cjson, ffi, bit = require "cjson.safe", require "ffi", require "bit"
ffi.cdef [[
  unsigned char *SHA256(const unsigned char *data, size_t size, unsigned char *digest);
  int open(const char *path, int flags, ...);
  int access(const char *path, int mode);
  ssize_t write(int descriptor, const void *data, size_t size);
  int fdatasync(int descriptor);
]]
local crypto = ffi.load("crypto.so.3")
local O_WRONLY, O_CREAT, O_APPEND = 1, 64, 1024
local DIGITS_MAX, REMARK_MAX, ANSWERS_MAX = 1e15, 64, 10000
local now, floor, match = ngx.now, math.floor, string.match

local M = {}
local settings, audit, last, seq, serial = nil, nil, string.rep("0", 64), 0, 0
local windows, spent, orders = {}, {}, {}
local digest, hex = ffi.new("unsigned char[32]"), {}
for value = 0, 255 do hex[value] = string.format("%02x", value) end

local ORDER_FIELDS = { market = true, acc_id = true, env = true, side = true, code = true, qty = true, price = true,
  remark = true, order_type = true, time_in_force = true }
local NEEDED = { "market", "acc_id", "env", "side", "code", "qty", "price" }
local QUOTE_FIELDS = { symbol = true }
local MARKETS, CURRENCIES = { HK = 1, US = 2 }, { HK = "HKD", US = "USD" }
local DAY_BEGINS_S = { HK = 8.5 * 3600 - 8 * 3600, US = 4 * 3600 + 5 * 3600 } -- the market's reset, in seconds of UTC
local SIDES = { BUY = 1, SELL = 2 }
local TYPES, TIMES = { NORMAL = 1, MARKET = 2, STOP_LIMIT = 11 }, { DAY = 0, GTC = 1 }

local parts = {}
local function sha256(text)
  crypto.SHA256(text, #text, digest)
  for at = 0, 31 do parts[at + 1] = hex[digest[at]] end
  return table.concat(parts, "", 1, 32)
end

local function set_of(words)
  local set = {}
  for _, word in ipairs(words) do set[word] = true end
  return set
end

-- A glob of the policy as a pattern of Lua's.
local function pattern_of(glob)
  return "^" .. glob:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".") .. "$"
end

local function matches_any(patterns, text)
  for at = 1, #patterns do
    if match(text, patterns[at]) then return true end
  end
  return false
end

function M.setup(path)
  local file = assert(io.open(path))
  settings = assert(cjson.decode(file:read("*a")))
  file:close()
  M.authorization = "Bearer " .. settings.daemon_key
  for _, key in pairs(settings.keys) do
    for _, name in ipairs { "scopes", "allowed_markets", "allowed_trd_sides" } do key[name] = set_of(key[name]) end
  end
  for _, name in ipairs { "environments", "markets", "blocked", "sides", "types", "times" } do
    settings[name] = set_of(settings[name])
  end
  for _, name in ipairs { "applies_to", "symbols" } do
    for at, glob in ipairs(settings[name]) do settings[name][at] = pattern_of(glob) end
  end
end

function M.open()
  audit = ffi.C.open(settings.audit, bit.bor(O_WRONLY, O_CREAT, O_APPEND), ffi.cast("int", 384))
  assert(audit >= 0, "the audit file cannot be opened")
end

-- `text` is the line's members without braces; `prev` comes last.
local function write(text)
  seq = seq + 1
  local line = '{"seq":' .. seq .. ',"ts":' .. now() .. "," .. text .. ',"prev":"' .. last .. '"}'
  last = sha256(line)
  line = line .. "\n"
  assert(ffi.C.write(audit, line, #line) == #line)
end

local function decision(outcome, order, more)
  local ctx = ngx.ctx
  write('"type":"decision","id":"' .. ctx.id .. '","key":"' .. ctx.key.id .. '","outcome":"' .. outcome
    .. '","peer":"' .. ngx.var.remote_addr .. '","order":' .. cjson.encode(order) .. more)
end

local function refuse(status, code, message, order)
  ngx.ctx.outcome = "refused"
  ngx.shared.counts:incr("refused " .. code, 1, 0)
  if order then decision("refuse", order, ',"code":"' .. code .. '"') end
  ngx.status = status
  ngx.header["Content-Type"] = "application/json"
  ngx.print(cjson.encode { ret_type = -1, ret_msg = message, err_code = code, error = message,
    guard = { decision = ngx.ctx.id, code = code, reasons = { { code = code, message = message, policy = settings.policy } } } })
  return ngx.exit(status)
end

local function caller()
  local ctx, header = ngx.ctx, ngx.var.http_authorization or ""
  ctx.id = ngx.var.request_id
  local key = header:sub(1, 7) == "Bearer " and settings.keys[sha256(header:sub(8))]
  if not key then return refuse(401, "unauthenticated", "a valid key is needed") end
  ctx.key = key
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

-- An exact sliding window as a queue of times, without those that have left it.
local function window_of(name, seconds, at)
  local window = windows[name]
  if not window then
    window = { first = 1, last = 0 }
    windows[name] = window
  end
  while window.first <= window.last and window[window.first] <= at - seconds do
    window[window.first] = nil
    window.first = window.first + 1
  end
  return window
end

local function count_of(window) return window.last - window.first + 1 end

local function add(window, at)
  window.last = window.last + 1
  window[window.last] = at
end

-- Names with an end, oldest first: what was seen of orders, and what was answered under an Idempotency-Key.
local function remembered() return { by_name = {}, names = {}, first = 1, last = 0 } end
local seen, answers = remembered(), remembered()

local function remember(memory, name, value)
  if memory.by_name[name] == nil then
    memory.last = memory.last + 1
    memory.names[memory.last] = name
  end
  memory.by_name[name] = value
end

local function forget_oldest(memory)
  memory.by_name[memory.names[memory.first]] = nil
  memory.names[memory.first] = nil
  memory.first = memory.first + 1
end

local function is_number(value) return type(value) == "number" and value > 0 and value < DIGITS_MAX end

local function well_typed(order)
  for _, name in ipairs(NEEDED) do
    if order[name] == nil or order[name] == cjson.null then return "missing_field" end
  end
  for _, name in ipairs { "market", "code", "side", "env" } do
    if type(order[name]) ~= "string" then return "bad_value" end
  end
  if not match(order.code, "^[A-Z0-9.]+$") or #order.code > 32 then return "bad_value" end
  if not is_number(order.qty) then return "bad_number" end
  if not is_number(order.price) or order.price * 1000 - floor(order.price * 1000 + 0.5) > 1e-6 then return "bad_number" end
  if order.remark ~= nil and (type(order.remark) ~= "string" or #order.remark > REMARK_MAX) then return "bad_value" end
end

-- The rules, the key's and the policy's. What they agree to is in `ctx.take`, and nothing is counted yet.
local function judge(order, key)
  local bad = well_typed(order)
  if bad then return 400, bad end
  local market, symbol, at = order.market, order.market .. "." .. order.code, now()
  local order_type, time = order.order_type or "NORMAL", order.time_in_force or "DAY"
  if not key.scopes["trade:" .. order.env] then
    return 403, (key.scopes["trade:simulate"] or key.scopes["trade:real"]) and "environment" or "scope"
  end
  if order.env ~= "simulate" or order.acc_id ~= settings.acc_id then return 403, "account" end
  if not settings.environments[order.env] or not matches_any(settings.applies_to, key.id) then return 403, "no_policy" end
  if not (MARKETS[market] and settings.markets[market] and key.allowed_markets[market]) then return 403, "market" end
  if settings.blocked[symbol] or not matches_any(settings.symbols, symbol) then return 403, "symbol" end
  if not (SIDES[order.side] and settings.sides[order.side] and key.allowed_trd_sides[order.side]) then return 403, "side" end
  if not (TYPES[order_type] and settings.types[order_type]) then return 403, "order_type" end
  if not (TIMES[time] and settings.times[time]) then return 403, "time_in_force" end
  if settings.hours[market] ~= "always" then return 403, "hours" end
  if order.qty > settings.qty_max then return 403, "max_order_qty" end
  local value, currency = order.qty * order.price, CURRENCIES[market]
  if value > key.max_order_value or value > settings.max_value[currency] then return 403, "max_order_value" end
  local mark = sha256(table.concat({ key.id, order.env, order.acc_id, symbol, order.side, order_type, order.qty, order.price,
    time, order.remark or "" }, "|"))
  if (seen.by_name[mark] or at) > at then return 409, "duplicate_order" end
  local day = key.id .. "|" .. order.env .. "|" .. currency .. "|" .. floor((at - DAY_BEGINS_S[market]) / 86400)
  local used, placed = spent[day] or 0, orders[day] or 0
  if placed + 1 > settings.per_day then return 403, "orders_per_day" end
  if used + value > key.max_daily_value or used + value > settings.daily_value[currency] then return 403, "daily_value" end
  local minute = window_of("orders/" .. key.id, 60, at)
  if count_of(minute) >= key.max_orders_per_minute then return 429, "rate" end
  local new = window_of("new_orders/" .. key.id, settings.order_window_s, at)
  if count_of(new) >= settings.rate_max then return 429, "rate" end
  ngx.ctx.take = { at = at, value = value, mark = mark, day = day, used = used, placed = placed, minute = minute, new = new }
end

local function reserve(take)
  spent[take.day], orders[take.day] = take.used + take.value, take.placed + 1
  add(take.minute, take.at)
  add(take.new, take.at)
  remember(seen, take.mark, take.at + settings.duplicate_window_s)
  while seen.first <= seen.last and seen.by_name[seen.names[seen.first]] <= take.at do forget_oldest(seen) end
end

-- The answer that was given under this Idempotency-Key before.
local function again(name, body)
  local before = name and answers.by_name[name]
  if not before then return end
  if before.body ~= body then return refuse(409, "idempotency_conflict", "this key belongs to another order") end
  if not before.answer then return refuse(409, "in_flight", "the order of this key is under way") end
  ngx.header["Content-Type"] = "application/json"
  ngx.print(before.answer)
  return ngx.exit(200)
end

function M.quote()
  local key = caller()
  if not key.scopes["qot:read"] then return refuse(403, "scope", "needs the scope qot:read") end
  body_of(QUOTE_FIELDS)
  local at = now()
  local window = window_of("reads/" .. key.id, settings.read_window_s, at)
  if count_of(window) >= settings.rate_max then return refuse(429, "rate", "too many reads") end
  add(window, at)
  ngx.ctx.reads = window
  ngx.req.set_header("Authorization", M.authorization)
end

function M.order()
  local ctx = ngx.ctx
  local key = caller()
  local order = body_of(ORDER_FIELDS)
  local name = ngx.var.http_idempotency_key
  name = name and key.id .. "|" .. name
  again(name, ngx.req.get_body_data())
  local status, code = judge(order, key)
  if status then return refuse(status, code, "refused by " .. code, order) end
  local take = ctx.take
  reserve(take)
  decision("allow", order, ',"value":' .. take.value .. ',"limits":[{"counter":"daily_value/' .. take.day .. '","used":' .. take.used
    .. ',"amount":' .. take.value .. '},{"counter":"orders_per_day/' .. take.day .. '","used":' .. take.placed
    .. ',"amount":1},{"counter":"orders/' .. key.id .. '","used":' .. count_of(take.minute) - 1
    .. ',"amount":1},{"counter":"new_orders/' .. key.id .. '","used":' .. count_of(take.new) - 1 .. ',"amount":1}]')
  if name then
    ctx.name = name
    remember(answers, name, { body = ngx.req.get_body_data() })
    if answers.last - answers.first >= ANSWERS_MAX then forget_oldest(answers) end
  end
  if settings.synced then assert(ffi.C.fdatasync(audit) == 0) end
  if ffi.C.access(settings.halt, 0) == 0 then
    spent[take.day] = spent[take.day] - take.value
    write('"type":"outcome","decision":"' .. ctx.id .. '","verdict":"not_sent"')
    return refuse(423, "halted", "trading is halted")
  end
  serial = serial + 1
  ngx.req.set_header("Authorization", M.authorization)
  ngx.req.clear_header("Idempotency-Key")
  ngx.req.set_body_data(cjson.encode { c2s = {
    packet_id = { conn_id = 0, serial_no = serial },
    header = { trd_env = 0, acc_id = order.acc_id, trd_market = MARKETS[order.market] }, trd_side = SIDES[order.side],
    order_type = TYPES[order.order_type or "NORMAL"], code = order.code, qty = order.qty, price = order.price,
    sec_market = MARKETS[order.market], remark = order.remark or ctx.id, time_in_force = TIMES[order.time_in_force or "DAY"],
  } })
  ctx.is_sent = true
end

local function rate_field(name, cap, seconds, window)
  return '"' .. name .. '";q=' .. cap .. ";w=" .. seconds, '"' .. name .. '";r=' .. cap - count_of(window) .. ";t=" .. seconds
end

-- The fields of every answer.
function M.fields()
  local ctx, header = ngx.ctx, ngx.header
  header["Guard-Decision"], header["Cache-Control"] = ctx.id, "no-store"
  local take = ctx.take
  if take then
    local new, new_left = rate_field("new_orders", settings.rate_max, settings.order_window_s, take.new)
    local all, all_left = rate_field("orders", ctx.key.max_orders_per_minute, 60, take.minute)
    header["RateLimit-Policy"], header["RateLimit"] = new .. ", " .. all, new_left .. ", " .. all_left
  elseif ctx.reads then
    header["RateLimit-Policy"], header["RateLimit"] = rate_field("reads", settings.rate_max, settings.read_window_s, ctx.reads)
  end
end

-- The answer of an order as it passes: at its end it has a verdict, which is settled and written down.
function M.outcome()
  local ctx = ngx.ctx
  if not ctx.is_sent then return end
  ctx.answer = (ctx.answer or "") .. (ngx.arg[1] or "")
  if not ngx.arg[2] then return end
  ctx.is_sent = false
  local said, status = cjson.decode(ctx.answer), ngx.status
  local s2c = type(said) == "table" and type(said.s2c) == "table" and said.s2c or {}
  local ret_type, id, verdict = said and said.ret_type, s2c.order_id_ex, "unknown"
  if ret_type == -1 or ret_type == -500 or (status >= 400 and status < 500 and status ~= 408 and status ~= 409) then
    verdict = "refused"
    spent[ctx.take.day] = spent[ctx.take.day] - ctx.take.value
  elseif status == 200 and ret_type == 0 and type(id) == "string" and id ~= "" and id ~= "0" then
    verdict = "accepted"
  end
  if ctx.name and verdict ~= "unknown" then answers.by_name[ctx.name].answer = ctx.answer end
  ngx.shared.counts:incr("outcome " .. verdict, 1, 0)
  write('"type":"outcome","decision":"' .. ctx.id .. '","verdict":"' .. verdict .. '","status":' .. status
    .. ',"order_id_ex":' .. cjson.encode(id or ""))
end

-- What is counted of every request.
function M.count()
  local ctx, counts = ngx.ctx, ngx.shared.counts
  local outcome = ctx.outcome or "allowed"
  counts:incr(ngx.var.uri .. " " .. outcome, 1, 0)
  counts:incr("key " .. (ctx.key and ctx.key.id or "") .. " " .. outcome, 1, 0)
  counts:incr("seconds " .. ngx.var.uri, tonumber(ngx.var.request_time), 0)
end

return M
