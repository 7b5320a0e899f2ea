/** What no client should send: every request ends in an answer of the API, nothing hangs or crashes. */
import { connect } from 'node:tls'
import { once } from 'node:events'
import fc from 'fast-check'
import { test } from 'tap'
import { setUp } from './client.ts'
import { MIB, addDisk, addMachine } from './flows.ts'

const SEED = 20_261_127
const XML = { 'content-type': 'application/xml' }

test('any JSON as a body is answered with 201, 202, 400, 404 or 409', async t => {
  const client = await setUp(t)
  const names = fc.constantFrom(
    'name',
    'disk',
    'cluster',
    'template',
    'memory',
    'cpu',
    'bios',
    'disks',
    'nics',
    'initialization',
    'id',
    'link',
    '__proto__',
    'constructor',
  )
  const { body } = fc.letrec(tie => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      tie('body'),
      fc.array(tie('value'), { maxLength: 3 }),
    ),
    body: fc.dictionary(names, tie('value'), { maxKeys: 4 }),
  }))
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('vms', 'disks', 'imagetransfers', 'events'), body, async (path, json) => {
      const { status } = await client.post(path, json)
      return [201, 202, 400, 404, 409].includes(status)
    }),
    { seed: SEED, numRuns: 300 },
  )
  t.equal((await client.get('vms')).status, 200)
})

test('any text as XML or JSON is answered with 400', async t => {
  const client = await setUp(t)
  const texts = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '<vm>',
      '<vm/>',
      '<disk/>',
      '<vm><name/><wat/></vm>',
      '<!DOCTYPE a [<!ENTITY b "c">]><vm>&b;</vm>',
      '<vm><memory>x</memory></vm>',
      '<vm><nics>1</nics></vm>',
      '"',
      '{"a":',
    ),
  )
  await fc.assert(
    fc.asyncProperty(texts, fc.boolean(), async (body, isXml) => {
      const { status } = await client.post('vms', body, isXml ? XML : {})
      return status === 400
    }),
    { seed: SEED, numRuns: 200 },
  )
})

test('any search is answered with 200 or 400', async t => {
  const client = await setUp(t)
  await addMachine(client)
  const words = fc.constantFrom(
    'name',
    'status',
    '=',
    '!=',
    '>',
    '<=',
    'and',
    'or',
    'sortby',
    'asc',
    'page',
    '1',
    '0',
    '*',
    '"a b"',
    '"',
    'x',
    '(',
    '\\',
  )
  await fc.assert(
    fc.asyncProperty(fc.array(words, { maxLength: 8 }), async parts => {
      const { status } = await client.get(`vms?max=1&search=${encodeURIComponent(parts.join(' '))}`)
      return status === 200 || status === 400
    }),
    { seed: SEED, numRuns: 200 },
  )
})

test('any path is answered', async t => {
  const client = await setUp(t)
  const parts = fc.constantFrom(
    'vms',
    'disks',
    'v4',
    'v9',
    '..',
    '%',
    '%00',
    ';',
    ';a=b',
    '00000000-0000-0000-0000-000000000000',
    'x',
    'nics',
    'backups',
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(parts, { maxLength: 5 }),
      fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
      async (path, method) => {
        const { status } = await client.send(method, `/ovirt-engine/api/${path.join('/')}`, { body: {} })
        return status >= 200 && status < 500
      },
    ),
    { seed: SEED, numRuns: 200 },
  )
})

test('XML in and out says the same as JSON', async t => {
  const client = await setUp(t)
  const xml =
    '<vm><name>x</name><memory>2147483648</memory><cluster><name>Default</name></cluster><template id="00000000-0000-0000-0000-000000000000"/><os><boot><devices><device>network</device><device>hd</device></devices></boot></os></vm>'
  const made = await client.post('vms', xml, XML)
  t.equal(made.status, 201)
  t.match(made.json, { name: 'x', memory: '2147483648', os: { boot: { devices: { device: ['network', 'hd'] } } } })
  const shown = await client.get(`vms/${made.json.id}`, { accept: 'application/xml' })
  t.match(shown.text, `<vm href="/ovirt-engine/api/vms/${made.json.id}" id="${made.json.id}">`)
  t.match(shown.text, /<memory>2147483648<\/memory>/)
  t.match(shown.text, `<creation_time>${new Date(made.json.creation_time).toISOString()}</creation_time>`)
  t.match(shown.text, /<devices>\s*<device>network<\/device>\s*<device>hd<\/device>\s*<\/devices>/)
  const fault = await client.send('POST', 'vms', { body: xml, headers: { ...XML, accept: 'application/xml' } })
  t.equal(fault.status, 409)
  t.match(fault.text, /<fault>\s*<detail>\[Cannot add VM/)
  const action = await client.send('POST', `vms/${made.json.id}/stop`, {
    body: '<action/>',
    headers: { ...XML, accept: 'application/xml' },
  })
  t.match(action.text, /<action>[^]*<status>failed<\/status>[^]*<fault>/)
})

test('a body that never ends, and one that is too large, cost their connection and nothing else', async t => {
  const client = await setUp(t)
  const { port } = new URL(client.simulator.url)
  const open = async (): Promise<ReturnType<typeof connect>> => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), ca: client.simulator.ca })
    socket.on('error', () => undefined).resume() // Only who reads hears of an end.
    await once(socket, 'secureConnect')
    socket.write(`POST /ovirt-engine/api/vms HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n`)
    return socket
  }
  const endless = await open()
  endless.destroy()
  const large = await open()
  const closed = new Promise(resolve => large.once('close', resolve))
  const piece = Buffer.alloc(1024 * 1024)
  for (let n = 0; n < 10 && !large.destroyed; n++) large.write(piece)
  await closed
  t.equal((await client.get('vms')).status, 200)
})

test('sizes and times without bounds are refused, and cost nothing', async t => {
  const client = await setUp(t)
  const domains = (n: number): object => ({ storage_domain: [{ id: client.simulator.site.storageDomains[n]?.id }] })
  const disk = { format: 'cow', provisioned_size: MIB, storage_domains: domains(1) }
  t.equal((await client.post('disks', { ...disk, provisioned_size: '9223372036854775807' })).status, 400)
  t.equal((await client.post('disks', { ...disk, initial_size: 2 ** 50 })).status, 409, 'more than there is')
  const id = await addDisk(client)
  t.equal((await client.send('PUT', `disks/${id}`, { body: { provisioned_size: 2 ** 50 } })).status, 400)
  for (const inactivity_timeout of [-1, '9223372036854775807'])
    t.equal(
      (await client.post('imagetransfers', { disk: { id }, direction: 'download', inactivity_timeout })).status,
      400,
    )
  t.same(client.simulator.state().lockedDisks, [])
})
