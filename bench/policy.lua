-- The same policy in nginx: as many of the guard's checks as Lua in nginx can carry, written to be fast.
--
-- Key by SHA-256 and its scopes; strict JSON, names, none twice, types, digits and decimals of fields; account; instrument by
-- its code, with or without its market's prefix; the policy's selectors; the key's own limits and the policy's: market, symbol
-- patterns, blocked symbols, side, type, time in force, hours, quantity, value, duplicates, orders and money of the market's
-- day, two exact sliding windows. All rules are asked, all reasons told, the guard's first one first. Idempotency-Key; the
-- kill switch. Money is counted in whole 1/10,000. A decision has its line, chained by hash, with the order, its value and the
-- counters, before the order is sent; its outcome has another, and money that the daemon refused is free again. The daemon
-- gets an order in a new encoding, and none of the caller's header fields. Answers carry the rate fields; requests are counted and timed.
--
-- With `synced` an order's line is on the disk before the order is sent. "each": one fdatasync an order, the plain recipe, during
-- which the worker does nothing else. "together": orders of one turn of nginx's loop wait on a semaphore and share one.
--
-- For speed: LuaJIT with its compiler on; SHA-256 by OpenSSL's own calls over FFI and nginx's hex dump; text put together
-- instead of encoded; counters and windows in tables of the one worker (with several, each would count alone), windows as
-- rings of doubles, duplicates in memory that all workers share; lines of outcomes are written with the next decision's,
-- after 5 ms at the latest; counts go to shared memory once a second; fields that are the same for all are nginx's own
-- `add_header` and `proxy_set_header`.
--
-- What it does not carry: numbers are read as doubles, so one of more than 15 digits that is nearly one of fewer passes as that
-- one, an account of more than 15 digits passes as a string alone, and cjson also takes `1.`, control characters and bytes that
-- are no UTF-8 in strings; one shape of an order, and none without a price; accounts and instruments are constants and a
-- spelling, not the daemon's lists: a code of the US may be of any length and end in a dot or a dash, and options and futures
-- pass as stocks, those of a blocked share too; only what rules refuse has a line; the market's day has a fixed offset, so New
-- York's begins an hour late in summer; hours are "always"; tokens need a library that is no package here; what was counted is
-- gone with the process; an answer that proves nothing, or none at all, is written down as unknown and passed on, and stays
-- unknown for good.

local cjson, ffi, bit, buffer = require "cjson.safe", require "ffi", require "bit", require "string.buffer"
local semaphore = require "ngx.semaphore"
ffi.cdef [[
  typedef struct { uint32_t state[8], low, high, data[16]; unsigned int number, length; } SHA256_CTX;
  int SHA256_Init(SHA256_CTX *context);
  int SHA256_Update(SHA256_CTX *context, const void *data, size_t size);
  int SHA256_Final(unsigned char *digest, SHA256_CTX *context);
  unsigned char *ngx_hex_dump(unsigned char *to, const unsigned char *from, size_t size);
  int open(const char *path, int flags, ...);
  int access(const char *path, int mode);
  ssize_t write(int descriptor, const void *data, size_t size);
  int fdatasync(int descriptor);
]]
local C = ffi.C
local O_WRONLY, O_CREAT, O_APPEND = 1, 64, 1024
local NUMBER_MAX, REMARK_MAX, ANSWERS_MAX, SYMBOLS_MAX, DEPTH_MAX = 1e15, 64, 10000, 4096, 16
local RING_MIN, FLUSH_S, SYNC_MAX_S, UNITS = 64, 0.005, 10, 10000
local BUCKETS = { 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10 }
local now, floor, ceil, find, match, format, byte = ngx.now, math.floor, math.ceil, string.find, string.match, string.format, string.byte
local band, quoted, null = bit.band, cjson.encode, cjson.null
cjson.decode_invalid_numbers(false)
cjson.decode_max_depth(DEPTH_MAX)

local M = {}
local settings, audit, boot, last, seq, serial = nil, nil, nil, string.rep("0", 64), 0, 0

-- A closed set: a word in any case or its number leads to the word.
local function choices(numbers)
  local set = {}
  for word, number in pairs(numbers) do set[word], set[word:lower()], set[number] = word, word, word end
  return set
end

local ORDER_FIELDS = { market = true, acc_id = true, env = true, side = true, code = true, qty = true, price = true,
  aux_price = true, remark = true, order_type = true, time_in_force = true }
local NEEDED = { "market", "acc_id", "env", "side", "code", "qty" }
local QUOTE_FIELDS = { symbol = true }
local MARKET_NUMBERS = { HK = 1, US = 2, CN = 3, HKCC = 4, SG = 6, AU = 8, JP = 15, MY = 111, CA = 112 }
local SIDE_NUMBERS, TIME_NUMBERS, ENV_NUMBERS = { BUY = 1, SELL = 2 }, { DAY = 0, GTC = 1 }, { simulate = 0, real = 1 }
local TYPE_NUMBERS = { NORMAL = 1, MARKET = 2, ABSOLUTE_LIMIT = 5, AUCTION = 6, AUCTION_LIMIT = 7, SPECIAL_LIMIT = 8,
  SPECIAL_LIMIT_ALL = 9, STOP_LIMIT = 11 }
local MARKETS, SIDES, TYPES = choices(MARKET_NUMBERS), choices(SIDE_NUMBERS), choices(TYPE_NUMBERS)
local TIMES = choices(TIME_NUMBERS)
local ENVS = { simulate = "simulate", SIMULATE = "simulate", [0] = "simulate", real = "real", REAL = "real", [1] = "real" }
local PRICELESS = { MARKET = true, AUCTION = true }
local CURRENCIES = { HK = "HKD", US = "USD" }
-- What the daemon takes off a code.
local PREFIXES = { HK = true, US = true, SH = true, SZ = true, SG = true, JP = true, AU = true, MY = true, CA = true, CN = true, BJ = true }
local CODES = { HK = "^%d%d%d%d%d$", US = "^%u[%u%d]*[.-]?[%u%d]*$" }
local DAY_BEGINS_S = { HK = 8.5 * 3600 - 8 * 3600, US = 4 * 3600 + 5 * 3600 } -- the market's reset, in seconds of UTC
-- What a refusal's status is, and which reason comes first, as the guard has it.
local STATUS = { unauthenticated = 401, duplicate_order = 409, idempotency_conflict = 409, in_flight = 409, halted = 423, rate = 429,
  price_unavailable = 503, bad_json = 400, duplicate_key = 400, unknown_field = 400, missing_field = 400, bad_number = 400,
  bad_value = 400 }

-- ---------------------------------------------------------------- the audit file

local context, digest, hex = ffi.new("SHA256_CTX"), ffi.new("unsigned char[32]"), ffi.new("unsigned char[64]")

local function hash(data, size)
  C.SHA256_Init(context)
  C.SHA256_Update(context, data, size)
  C.SHA256_Final(digest, context)
end

-- The audit file's text that is not written yet, whole lines; `is_due`: a timer will write it. No line is ever a string of
-- Lua's, which would be looked up among all others.
local out, begins, is_due = buffer.new(16384), 0, false

-- A line begins; its members follow, each after a comma.
local function begin(kind)
  seq, begins = seq + 1, #out
  return out:putf('{"seq":%d,"ts":%.3f,"type":"', seq, now()):put(kind, '"')
end

-- The hash of the line before comes last.
local function finish()
  out:put(',"prev":"', last, '"}')
  local text, size = out:ref()
  hash(text + begins, size - begins)
  C.ngx_hex_dump(hex, digest, 32)
  last = ffi.string(hex, 64)
  out:put("\n")
end

local function flush()
  is_due = false
  local text, size = out:ref()
  if size > 0 then
    assert(C.write(audit, text, size) == size)
    out:reset()
  end
end

-- Lines that need not be written before anything else.
local function flush_soon()
  if not is_due then is_due = ngx.timer.at(FLUSH_S, flush) end
end

local gate, held = semaphore.new(0), 0 -- where orders wait for the sync of their turn

local function sync()
  if C.fdatasync(audit) ~= 0 then os.exit(1) end -- what is lost is no more to be had: the next sync would say that all is well
end

local function let_go()
  local count = held
  held = 0
  sync()
  gate:post(count)
end

local function sync_together()
  held = held + 1
  if held == 1 then assert(ngx.timer.at(0, let_go)) end
  assert(gate:wait(SYNC_MAX_S))
end

-- ---------------------------------------------------------------- what is counted

local counts, seen = {}, ngx.shared.seen

local function count(name, amount) counts[name] = (counts[name] or 0) + amount end

-- Once a second, as every worker would: its counts become all workers'.
local function share(is_ending)
  for name, amount in pairs(counts) do ngx.shared.counts:incr(name, amount, 0) end
  counts = {}
  if is_ending then flush() end
end

function M.metrics()
  for _, name in ipairs(ngx.shared.counts:get_keys(0)) do ngx.say(name, " ", ngx.shared.counts:get(name)) end
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

-- ---------------------------------------------------------------- sliding windows: exact, rings of times

local function window_of(name, cap, seconds)
  return { name = name, cap = cap, seconds = seconds, ring = ffi.new("double[?]", RING_MIN), size = RING_MIN, first = 0, count = 0,
    policy = format('"%s";q=%d;w=%d', name, cap, seconds), left = '"' .. name .. '";r=', t = ";t=" .. seconds }
end

local function count_in(window, at)
  local ring, mask, first, held, since = window.ring, window.size - 1, window.first, window.count, at - window.seconds
  while held > 0 and ring[first] <= since do
    first, held = band(first + 1, mask), held - 1
  end
  window.first, window.count = first, held
  return held
end

local function add(window, at)
  local size, held = window.size, window.count
  if held == size then
    local wider = ffi.new("double[?]", size * 2)
    for place = 0, held - 1 do wider[place] = window.ring[band(window.first + place, size - 1)] end
    window.ring, window.size, window.first = wider, size * 2, 0
  end
  window.ring[band(window.first + held, window.size - 1)], window.count = at, held + 1
end

local function left_of(window) return window.left .. window.cap - window.count .. window.t end

-- ---------------------------------------------------------------- the start

local function prepared(key)
  for _, name in ipairs { "scopes", "allowed_markets", "allowed_trd_sides" } do key[name] = set_of(key[name]) end
  key.can_trade = { simulate = key.scopes["trade:simulate"], real = key.scopes["trade:real"] }
  key.is_bound = matches_any(settings.applies_to, key.id)
  key.minute = window_of("orders", key.max_orders_per_minute, 60)
  key.new = window_of("new_orders", settings.rate_max, settings.order_window_s)
  key.reads = window_of("reads", settings.rate_max, settings.read_window_s)
  key.order_policy = key.new.policy .. ", " .. key.minute.policy
  key.value_cap, key.day_cap = key.max_order_value * UNITS, key.max_daily_value * UNITS
  key.owner, key.days = "key:" .. key.id, { simulate = {}, real = {} }
  key.allowed, key.refused = "key " .. key.id .. " allowed", "key " .. key.id .. " refused"
  return key
end

function M.setup(path)
  local file = assert(io.open(path))
  settings = assert(cjson.decode(file:read("*a")))
  file:close()
  for _, name in ipairs { "environments", "markets", "blocked", "sides", "types", "times" } do
    settings[name] = set_of(settings[name])
  end
  for _, name in ipairs { "applies_to", "symbols" } do
    for at, glob in ipairs(settings[name]) do settings[name][at] = pattern_of(glob) end
  end
  local keys = {} -- by the digest's own bytes
  for text, key in pairs(settings.keys) do
    keys[text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)] = prepared(key)
  end
  settings.keys, settings.value_cap, settings.day_cap = keys, {}, {}
  for currency, amount in pairs(settings.max_value) do settings.value_cap[currency] = amount * UNITS end
  for currency, amount in pairs(settings.daily_value) do settings.day_cap[currency] = amount * UNITS end
end

function M.open()
  audit = C.open(settings.audit, bit.bor(O_WRONLY, O_CREAT, O_APPEND), ffi.cast("int", 384))
  assert(audit >= 0, "the audit file cannot be opened")
  boot = format("%08x%08x", ngx.worker.pid(), ngx.time())
  assert(ngx.timer.every(1, share))
end

function M.close() share(true) end

-- ---------------------------------------------------------------- refusals

local function answer(ctx, code, message, reasons)
  ctx.outcome = "refused"
  count("refused " .. code, 1)
  local told, header = quoted(message), ngx.header
  local text = '{"ret_type":-1,"ret_msg":' .. told .. ',"err_code":"' .. code .. '","s2c":null,"error":' .. told
    .. ',"guard":{"decision":"' .. ctx.id .. '","code":"' .. code .. '","reasons":' .. reasons .. "}}"
  ngx.status = STATUS[code] or 403
  header["Guard-Decision"], header["Content-Length"] = ctx.id, #text
  if code == "unauthenticated" then header["WWW-Authenticate"] = "Bearer" end
  ngx.print(text)
  return ngx.exit(ngx.status)
end

local function refuse(ctx, code, message)
  return answer(ctx, code, message, '[{"code":"' .. code .. '","message":' .. quoted(message) .. "}]")
end

local function reason(reasons, code, owner, rule, observed, limit)
  local message = code .. ": " .. observed .. (limit and " is above " .. limit or " is not allowed")
  reasons[#reasons + 1] = { code = code, policy = owner, rule = rule, observed = tostring(observed), limit = limit and tostring(limit),
    message = message }
end

local words = buffer.new(1024) -- the order at hand: in the record, and what makes two orders the same

local function decision(ctx, outcome, order)
  local text, size = words:ref()
  begin("decision"):put(',"id":"', ctx.id, '","key":"', ctx.key.id, '","endpoint":"/api/order","outcome":"', outcome, '","peer":"',
    ngx.var.remote_addr, '","order":'):putcdata(text, size):putf(',"value":%.0f', order.value)
end

-- ---------------------------------------------------------------- the request

local function begun()
  serial = serial + 1
  local ctx = { id = boot .. format("%016x", serial), serial = serial, outcome = "allowed", key = false, day = false, value = 0, name = false,
    answer = false }
  ngx.ctx = ctx
  return ctx
end

local function caller(ctx)
  local header = ngx.var.http_authorization
  if header and header:sub(1, 7) == "Bearer " then
    hash(ffi.cast("const char *", header) + 7, #header - 7)
    ctx.key = settings.keys[ffi.string(digest, 32)] or false
  end
  return ctx.key or refuse(ctx, "unauthenticated", "a valid key is needed")
end

-- How many names the text of an object has at any depth; its JSON is known to be good.
local function names_in(text)
  text = text:gsub("\\.", "__")
  return select(2, text:gsub('"[^"]*"%s*:', ""))
end

-- No name twice, though cjson keeps the last alone: as many colons as names found is proof.
local function is_double(text, names)
  local colons, at = 0, find(text, ":", 1, true)
  while at do
    colons, at = colons + 1, find(text, ":", at + 1, true)
  end
  return colons ~= names and names_in(text) ~= names
end

local function body_of(ctx, known)
  ngx.req.read_body()
  local text = ngx.req.get_body_data() or ""
  local body = cjson.decode(text)
  if type(body) ~= "table" or not (byte(text) == 123 or find(text, "^%s*{")) then
    return refuse(ctx, "bad_json", "the body is not a JSON object")
  end
  local names, has_nested = 0, false
  for name, value in pairs(body) do
    if not known[name] then return refuse(ctx, "unknown_field", "unknown: " .. name) end
    names = names + 1
    if value == null then body[name] = nil elseif type(value) == "table" then has_nested = true end
  end
  if not has_nested and is_double(text, names) then return refuse(ctx, "duplicate_key", "a name is given twice") end
  return body, text
end

-- ---------------------------------------------------------------- an order's fields

local function is_number(value) return type(value) == "number" and value > -NUMBER_MAX and value < NUMBER_MAX end

-- Whether a double is a number of so many decimals: the nearest such number has the same double.
local function is_exact(value, unit) return value == floor(value) or floor(value * unit + 0.5) / unit == value end

local function choice(set, value)
  return set[value] or (type(value) == "string" and set[value:upper()])
end

local symbols, symbols_held = {}, 0

-- Prefix, if there is one, and code.
local function split(code)
  local prefix, bare = match(code, "^(%u%u)%.(.+)$")
  if PREFIXES[prefix or ""] then return prefix, bare end
  return nil, code
end

-- The instrument of a code: its market's prefix may stand before it once, another's may not.
local function instrument(market, code)
  if #code > 32 or not match(code, "^[%u%d.-]+$") then return nil end -- it goes into the line as it is
  if not CODES[market] then return { symbol = market .. "." .. code, code = code, is_allowed = false } end
  local prefix, bare = split(code)
  if (prefix or market) ~= market or split(bare) or not match(bare, CODES[market]) then return nil end
  local symbol = market .. "." .. bare
  local is_allowed = not settings.blocked[symbol] and matches_any(settings.symbols, symbol)
  local found = { symbol = symbol, code = bare, is_allowed = is_allowed }
  if symbols_held >= SYMBOLS_MAX then symbols, symbols_held = {}, 0 end
  symbols[market .. code], symbols_held = found, symbols_held + 1
  return found
end

local function account(value)
  if type(value) == "string" then return match(value, "^%d+$") and #value <= 20 and value end
  return type(value) == "number" and value >= 0 and value == floor(value) and value < NUMBER_MAX and format("%.15g", value)
end

-- The order as typed members, or nothing, a code and what is wrong.
local function order_of(body)
  for at = 1, #NEEDED do
    if body[NEEDED[at]] == nil then return nil, "missing_field", NEEDED[at] end
  end
  local market, side, env = choice(MARKETS, body.market), choice(SIDES, body.side), ENVS[body.env]
  local order_type = body.order_type == nil and "NORMAL" or choice(TYPES, body.order_type)
  local time = body.time_in_force == nil and "DAY" or choice(TIMES, body.time_in_force)
  if not market then return nil, "bad_value", "market" end
  if not side then return nil, "bad_value", "side" end
  if not env then return nil, "bad_value", "env" end
  if not order_type then return nil, "bad_value", "order_type" end
  if not time then return nil, "bad_value", "time_in_force" end
  local acc_id, code, qty, price, aux = account(body.acc_id), body.code, body.qty, body.price, body.aux_price
  if not acc_id then return nil, "bad_number", "acc_id" end
  if acc_id == "0" then return nil, "bad_value", "acc_id" end
  if type(code) ~= "string" then return nil, "bad_value", "code" end
  local found = symbols[market .. code] or instrument(market, code)
  if not found then return nil, "bad_value", "code" end
  if not is_number(qty) or not is_exact(qty, 1e9) then return nil, "bad_number", "qty" end
  if qty <= 0 then return nil, "bad_value", "qty" end
  if not PRICELESS[order_type] then
    if price == nil then return nil, "missing_field", "price" end
    if not is_number(price) or not is_exact(price, 1000) then return nil, "bad_number", "price" end
    if price <= 0 then return nil, "bad_value", "price" end
  end
  if order_type == "STOP_LIMIT" then
    if aux == nil then return nil, "missing_field", "aux_price" end
    if not is_number(aux) or not is_exact(aux, 1000) then return nil, "bad_number", "aux_price" end
    if aux <= 0 then return nil, "bad_value", "aux_price" end
  elseif aux ~= nil then
    return nil, "bad_value", "aux_price"
  end
  local remark = body.remark
  if remark ~= nil and (type(remark) ~= "string" or #remark > REMARK_MAX or find(remark, "%c")) then return nil, "bad_value", "remark" end
  return { market = market, side = side, env = env, order_type = order_type, time = time, acc_id = acc_id, instrument = found,
    qty = qty, price = price or 0, aux = aux, remark = remark and quoted(remark), value = 0, terms = false }
end

-- What the daemon gets of an order as well; its words; the hash by which it is known again.
local function put_in_words(order, key)
  local terms = format('"qty":%.15g,"price":%.15g', order.qty, order.price)
  if order.aux then terms = terms .. format(',"aux_price":%.15g', order.aux) end
  order.terms = terms
  words:reset():put('{"env":"', order.env, '","acc_id":', order.acc_id, ',"symbol":"', order.instrument.symbol, '","side":"', order.side,
    '","order_type":"', order.order_type, '",', terms, ',"time_in_force":"', order.time, '","remark":', order.remark or "null", "}")
  local text, size = words:ref()
  C.SHA256_Init(context)
  C.SHA256_Update(context, key.owner, #key.owner)
  C.SHA256_Update(context, text, size)
  C.SHA256_Final(digest, context)
  return ffi.string(digest, 32)
end

local function canonical(ctx, order)
  local market = MARKET_NUMBERS[order.market]
  return '{"c2s":{"packet_id":{"conn_id":0,"serial_no":' .. ctx.serial .. '},"header":{"trd_env":' .. ENV_NUMBERS[order.env] .. ',"acc_id":'
    .. order.acc_id .. ',"trd_market":' .. market .. '},"trd_side":' .. SIDE_NUMBERS[order.side] .. ',"order_type":'
    .. TYPE_NUMBERS[order.order_type] .. ',"code":"' .. order.instrument.code .. '",' .. order.terms .. ',"sec_market":' .. market
    .. ',"remark":' .. (order.remark or '"p:' .. ctx.id .. '"') .. ',"time_in_force":' .. TIME_NUMBERS[order.time] .. "}}"
end

-- ---------------------------------------------------------------- the rules and what they count

-- What a key has spent and placed in the day of a market.
local function day_of(key, order, at)
  local market, days = order.market, key.days[order.env]
  local day, number = days[market], floor((at - DAY_BEGINS_S[market]) / 86400)
  if not day or day.number ~= number then
    local name = key.id .. "/" .. order.env .. "/" .. CURRENCIES[market] .. "/" .. number
    day = { number = number, spent = 0, placed = 0, value_name = '"daily_value/' .. name, count_name = '"orders_per_day/' .. name }
    days[market] = day
  end
  return day
end

-- Every rule is asked, in the guard's order of codes; the reasons, if any.
local function judged(order, key, mark, at)
  local reasons, market, policy, owner, found = {}, order.market, settings.policy, key.owner, order.instrument
  local currency, qty = CURRENCIES[market], order.qty
  local is_bound = settings.environments[order.env] and key.is_bound
  if not key.allowed_markets[market] then reason(reasons, "market", owner, "allowed_markets", market) end
  if not settings.markets[market] then reason(reasons, "market", policy, "instruments.markets", market) end
  if not found.is_allowed then reason(reasons, "symbol", policy, "instruments.symbols", found.symbol) end
  if not key.allowed_trd_sides[order.side] then reason(reasons, "side", owner, "allowed_trd_sides", order.side) end
  if not settings.sides[order.side] then reason(reasons, "side", policy, "orders.sides", order.side) end
  if not settings.types[order.order_type] then reason(reasons, "order_type", policy, "orders.types", order.order_type) end
  if not settings.times[order.time] then reason(reasons, "time_in_force", policy, "orders.time_in_force", order.time) end
  if settings.hours[market] ~= "always" then reason(reasons, "hours", policy, "hours", market) end
  if qty > settings.qty_max then reason(reasons, "max_order_qty", policy, "orders.max_qty", qty, settings.qty_max) end
  if not is_bound then reason(reasons, "no_policy", policy, "applies_to", key.id) end
  if not currency then return reasons end
  local value = order.value
  if value > key.value_cap then reason(reasons, "max_order_value", owner, "max_order_value", value / UNITS, key.max_order_value) end
  if value > settings.value_cap[currency] then
    reason(reasons, "max_order_value", policy, "orders.max_value", value / UNITS, settings.max_value[currency])
  end
  if PRICELESS[order.order_type] then reason(reasons, "price_unavailable", policy, "orders.max_value", order.order_type) end
  if seen:get(mark) then reason(reasons, "duplicate_order", policy, "orders.duplicate_window_s", found.symbol) end
  local day = day_of(key, order, at)
  if day.placed >= settings.per_day then reason(reasons, "orders_per_day", policy, "orders.per_day", day.placed + 1, settings.per_day) end
  local spent = day.spent + value
  if spent > key.day_cap then reason(reasons, "daily_value", owner, "max_daily_value", spent / UNITS, key.max_daily_value) end
  if spent > settings.day_cap[currency] then
    reason(reasons, "daily_value", policy, "budgets.daily_value", spent / UNITS, settings.daily_value[currency])
  end
  local minute, new = count_in(key.minute, at), count_in(key.new, at)
  if minute >= key.minute.cap then reason(reasons, "rate", owner, "max_orders_per_minute", minute + 1, key.minute.cap) end
  if new >= key.new.cap then reason(reasons, "rate", policy, "rates.new_orders", new + 1, key.new.cap) end
  return reasons, day
end

local function reserve(key, day, value, mark, at)
  day.spent, day.placed = day.spent + value, day.placed + 1
  add(key.minute, at)
  add(key.new, at)
  seen:set(mark, true, settings.duplicate_window_s)
end

-- What was taken, for the record: counters before this step, and what is wanted of each.
local function put_uses(key, day, value)
  out:put(',"limits":[{"counter":', day.value_name):putf('","used":%.0f,"amount":%.0f},{"counter":', day.spent - value, value)
  out:put(day.count_name, '","used":', day.placed - 1, ',"amount":1},{"counter":"orders/', key.id, '","used":', key.minute.count - 1,
    ',"amount":1},{"counter":"new_orders/', key.id, '","used":', key.new.count - 1, ',"amount":1}]')
end

-- What was answered under an Idempotency-Key, the oldest forgotten first.
local answers, names, first_name, last_name = {}, {}, 1, 0

local function remember(name, body)
  if not answers[name] then
    last_name = last_name + 1
    names[last_name] = name
  end
  answers[name] = { body = body }
  if last_name - first_name >= ANSWERS_MAX then
    answers[names[first_name]], names[first_name] = nil, nil
    first_name = first_name + 1
  end
end

-- The answer that was given under this name before.
local function again(ctx, body)
  local before = ctx.name and answers[ctx.name]
  if not before then return end
  if before.body ~= body then return refuse(ctx, "idempotency_conflict", "this key belongs to another order") end
  if not before.answer then return refuse(ctx, "in_flight", "the order of this key is under way") end
  ngx.print(before.answer)
  return ngx.exit(200)
end

local function refuse_for(ctx, order, reasons)
  local code, told = reasons[1].code, quoted(reasons)
  decision(ctx, "refuse", order)
  out:put(',"code":"', code, '","reasons":', told)
  finish()
  flush_soon()
  return answer(ctx, code, reasons[1].message, told)
end

-- ---------------------------------------------------------------- the phases

function M.quote()
  local ctx = begun()
  local key = caller(ctx)
  if not key.scopes["qot:read"] then return refuse(ctx, "scope", "needs the scope qot:read") end
  body_of(ctx, QUOTE_FIELDS)
  local at, reads, header = now(), key.reads, ngx.header
  if count_in(reads, at) >= reads.cap then return refuse(ctx, "rate", "too many reads") end
  add(reads, at)
  header["Guard-Decision"], header["RateLimit-Policy"], header["RateLimit"] = ctx.id, reads.policy, left_of(reads)
end

function M.order()
  local ctx = begun()
  local key = caller(ctx)
  local body, raw = body_of(ctx, ORDER_FIELDS)
  local name, order, code, what = ngx.var.http_idempotency_key, order_of(body)
  if not order then return refuse(ctx, code, code .. ": " .. what) end
  if name then
    ctx.name = key.id .. "|" .. name
    again(ctx, raw)
  end
  if not key.can_trade[order.env] then
    local can_trade = key.can_trade.simulate or key.can_trade.real
    return refuse(ctx, can_trade and "environment" or "scope", "needs the scope trade:" .. order.env)
  end
  if not settings.accounts[order.env .. "/" .. order.acc_id] then return refuse(ctx, "account", "no account " .. order.acc_id) end
  -- Price and quantity in whole units, the product rounded up.
  order.value = ceil(floor(order.price * 1000 + 0.5) * (UNITS / 1000) * order.qty)
  local at, mark = now(), put_in_words(order, key)
  local reasons, day = judged(order, key, mark, at)
  if reasons[1] then return refuse_for(ctx, order, reasons) end
  local value = order.value
  reserve(key, day, value, mark, at)
  decision(ctx, "allow", order)
  put_uses(key, day, value)
  finish()
  flush()
  if name then remember(ctx.name, raw) end
  if settings.synced == "together" then sync_together() elseif settings.synced then sync() end
  if C.access(settings.halt, 0) == 0 then
    day.spent = day.spent - value
    begin("outcome"):put(',"decision":"', ctx.id, '","verdict":"not_sent"')
    finish()
    flush_soon()
    return refuse(ctx, "halted", "trading is halted")
  end
  local header = ngx.header
  header["Guard-Decision"], header["RateLimit-Policy"] = ctx.id, key.order_policy
  header["RateLimit"] = left_of(key.new) .. ", " .. left_of(key.minute)
  ngx.var.order = canonical(ctx, order)
  ctx.day, ctx.value, ctx.answer = day, value, ""
end

-- The answer of an order as it passes: at its end it has a verdict, which is settled and written down.
function M.outcome()
  local ctx, arg = ngx.ctx, ngx.arg
  local before = ctx.answer
  if not before then return end
  local text = before .. arg[1]
  if not arg[2] then
    ctx.answer = text
    return
  end
  ctx.answer = false
  local said, status, verdict = cjson.decode(text), ngx.status, "unknown"
  said = type(said) == "table" and said or {}
  local s2c = type(said.s2c) == "table" and said.s2c or {}
  local ret_type, id = said.ret_type, s2c.order_id_ex
  if ret_type == -1 or ret_type == -500 or (status >= 400 and status < 500 and status ~= 408 and status ~= 409) then
    verdict = "refused"
    ctx.day.spent = ctx.day.spent - ctx.value
  elseif status == 200 and ret_type == 0 and type(id) == "string" and id ~= "" and id ~= "0" then
    verdict = "accepted"
  end
  if ctx.name and verdict ~= "unknown" then answers[ctx.name].answer = text end
  count("outcome " .. verdict, 1)
  begin("outcome"):put(',"decision":"', ctx.id, '","verdict":"', verdict, '","status":', status, ',"order_id_ex":', id and quoted(id) or "null")
  finish()
  flush_soon()
end

-- What is counted of every request, and how long it took.
function M.count(endpoint)
  local ctx = ngx.ctx
  local outcome, key, seconds, bucket = ctx.outcome or "refused", ctx.key, now() - ngx.req.start_time(), 1
  count(endpoint[outcome], 1)
  if key then count(key[outcome], 1) end
  count(endpoint.seconds, seconds)
  while bucket <= #BUCKETS and seconds > BUCKETS[bucket] do bucket = bucket + 1 end
  count(endpoint[bucket], 1)
end

local function endpoint_of(path)
  local names = { allowed = path .. " allowed", refused = path .. " refused", seconds = path .. " seconds", [#BUCKETS + 1] = path .. " le inf" }
  for at, bound in ipairs(BUCKETS) do names[at] = path .. " le " .. bound end
  return names
end
M.QUOTES, M.ORDERS = endpoint_of("/api/quote"), endpoint_of("/api/order")

return M
