import t from 'tap'
import { Engine } from '../../src/index.ts'
import type { EngineOptions } from '../../src/index.ts'
import { instantClock, json, page, scriptedEngine } from './scripted-engine.ts'
import type { Answer } from './scripted-engine.ts'

const PASSWORD = 'very secret'

const open = async (answer: Answer, options: Partial<EngineOptions> = {}) => {
  const server = await scriptedEngine(answer)
  const clock = instantClock()
  const engine = new Engine({ url: server.url, username: 'admin@internal', password: PASSWORD, clock, ...options })
  return {
    server,
    clock,
    engine,
    [Symbol.asyncDispose]: async () => {
      await engine[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

t.test('asks for JSON in English with a token, and gives 404 with an empty body as nothing (§0.2)', async t => {
  await using opened = await open(({ path }, response) => {
    if (path.endsWith('/gone')) response.writeHead(404).end()
    else json(response, 200, { name: 'web' })
  })
  t.strictSame(await opened.engine.get('/vms/1', { query: { follow: 'nics', current: true } }), { name: 'web' })
  const [seen] = opened.server.seen
  t.equal(seen?.path, '/ovirt-engine/api/vms/1?follow=nics&current=true')
  t.match(seen?.headers, { accept: 'application/json', 'accept-language': 'en-US', authorization: 'Bearer token-1' })
  t.equal(await opened.engine.find('/gone'), undefined)
  await t.rejects(opened.engine.get('/gone'), { code: 'GRANARY_NOT_FOUND' })
})

t.test('calls at once share one login, and one new login after a 401 (§1.1)', async t => {
  let known = 'token-1'
  await using opened = await open(({ headers }, response) => {
    if (headers.authorization === `Bearer ${known}`) json(response, 200, {})
    else page(response, 401)
  })
  const all = async () => await Promise.all(Array.from({ length: 9 }, async () => await opened.engine.get('/vms')))
  await all()
  t.equal(opened.server.logins(), 1)
  known = 'token-2'
  await all()
  t.equal(opened.server.logins(), 2)
  known = 'none'
  await t.rejects(opened.engine.get('/vms'), { code: 'GRANARY_PERMISSION', detail: { status: 401 } })
})

t.test('an engine that is away is waited for, with longer and longer pauses, up to the limit', async t => {
  await using opened = await open((_, response, count) => {
    if (count < 4) page(response, [503, 502, 404][count - 1] as number)
    else json(response, 200, {})
  })
  await opened.engine.get('/vms')
  t.strictSame(opened.clock.slept, [1000, 2000, 4000])

  await using away = await open((_, response) => page(response, 503), { outageTimeoutMs: 60_000 })
  await t.rejects(away.engine.get('/vms'), { code: 'GRANARY_REMOTE', message: /given up after 60 s/, retryable: false })
  t.equal(
    away.clock.slept.reduce((sum, ms) => sum + ms, 0),
    60_000,
  )
})

t.test('a 409 is repeated only for as long as the caller says', async t => {
  await using opened = await open((_, response, count) => {
    if (count % 4 === 0) json(response, 201, { id: 'a' })
    else json(response, 409, { reason: 'Operation Failed', detail: '[The disk is locked.]' })
  })
  t.strictSame(await opened.engine.create('/disks', {}, { conflictTimeoutMs: 120_000 }), { id: 'a' })
  await t.rejects(opened.engine.create('/disks', {}), {
    code: 'GRANARY_LOCKED',
    message: /Operation Failed: \[The disk is locked\.\]/,
    detail: { status: 409 },
  })
})

t.test('a lost answer: what was made is found and not made twice', async t => {
  let made: object | undefined
  await using opened = await open(({ method }, response, count) => {
    if (method === 'GET') return made === undefined ? response.writeHead(404).end() : json(response, 200, made)
    if (count > 1) made = { id: 'mine' } // The first one is lost on its way there, the second on its way back.
    return response.destroy()
  })
  const find = async () => await opened.engine.find('/vms/v/backups/mine')
  t.strictSame(await opened.engine.create('/vms/v/backups', { id: 'mine' }, { find }), { id: 'mine' })
  t.strictSame(
    opened.server.seen.map(({ method }) => method),
    ['POST', 'GET', 'POST', 'GET'],
  )
})

t.test('a lost answer that nothing can be found by is an error that says so, and no second request', async t => {
  await using opened = await open((_, response) => response.destroy())
  await t.rejects(opened.engine.create('/imagetransfers', {}), {
    code: 'GRANARY_IO',
    detail: { isApplied: 'unknown' },
    message: /it may have been done all the same/,
  })
  t.equal(opened.server.seen.length, 1)
})

t.test('a refusal after a lost answer: what stands there is ours', async t => {
  await using opened = await open(({ method }, response, count) => {
    if (method === 'GET' && count === 2) return response.writeHead(404).end() // Not yet to be seen.
    if (method === 'GET') return json(response, 200, { id: 'mine' })
    if (count === 1) return response.destroy()
    return json(response, 400, { detail: '[Backup id exists.]' })
  })
  const find = async () => await opened.engine.find('/b/mine')
  t.strictSame(await opened.engine.create('/b', { id: 'mine' }, { find }), { id: 'mine' })
})

t.test('passwords and tokens are in no message', async t => {
  await using opened = await open((_, response) =>
    json(response, 400, { fault: { reason: `bad ${PASSWORD}`, detail: 'for token-1' } }),
  )
  const error = await opened.engine.get('/vms').catch((caught: unknown) => caught as Error)
  t.match(error, { code: 'GRANARY_REMOTE', message: /bad \*\*\*: for \*\*\*/ })
  t.notMatch(JSON.stringify(error), /secret|token-1/)
})

t.test('wrong credentials are a 400 in two shapes (§1.1)', async t => {
  for (const body of [
    { error_code: 'access_denied', error: "Cannot authenticate user 'admin@internal'" },
    { error: 'access_denied', error_description: "Cannot authenticate user 'admin@internal'" },
  ]) {
    const { createServer } = await import('node:http')
    const server = createServer((_, response) => json(response, 400, body))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const engine = new Engine({ url: `http://127.0.0.1:${port}`, username: 'admin@internal', password: PASSWORD })
    await t.rejects(engine.get(''), { code: 'GRANARY_PERMISSION', message: /access_denied: Cannot authenticate/ })
    await engine[Symbol.asyncDispose]()
    server.closeAllConnections()
    server.close()
  }
})

t.test('nonsense ends in an error of the protocol; so does an answer that is too late or too large', async t => {
  await using opened = await open(
    ({ path }, response) => {
      if (path.endsWith('/text')) response.end('no JSON')
      else if (path.endsWith('/list')) json(response, 200, [] as unknown as object)
      else if (path.endsWith('/large')) {
        const piece = Buffer.alloc(1 << 20, ' ')
        const write = (): void => void (!response.destroyed && response.write(piece, write))
        write()
      }
    },
    { outageTimeoutMs: 0 },
  )
  await t.rejects(opened.engine.get('/text'), { code: 'GRANARY_PROTOCOL' })
  await t.rejects(opened.engine.get('/list'), { code: 'GRANARY_PROTOCOL' })
  await t.rejects(opened.engine.get('/large', { answerTimeoutMs: 60_000 }), { code: 'GRANARY_LIMIT' })
  await t.rejects(opened.engine.get('/late', { answerTimeoutMs: 50 }), { code: 'GRANARY_TIMEOUT' })
})

t.test('an abort ends a call and its waiting, with the reason', async t => {
  const stop = new AbortController()
  await using opened = await open((_, response) => {
    stop.abort(new Error('enough'))
    page(response, 503)
  })
  await t.rejects(opened.engine.get('/vms', { signal: stop.signal }), { message: 'enough' })
})

t.test('addresses: what an administrator writes', async t => {
  const baseOf = (url: string): string => new Engine({ url, username: 'a@b', password: '' }).base
  t.equal(baseOf('engine.example'), 'https://engine.example/ovirt-engine')
  t.equal(baseOf('https://engine.example:8443/'), 'https://engine.example:8443/ovirt-engine')
  t.equal(baseOf('https://engine.example/ovirt-engine/api/'), 'https://engine.example/ovirt-engine')
  t.throws(() => baseOf('http://engine.example'), { code: 'GRANARY_INVALID_ARGUMENT', message: /https only/ })
  t.throws(() => baseOf('https://user:pw@engine.example'), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => baseOf('ftp://engine'), { code: 'GRANARY_INVALID_ARGUMENT' })
})
