import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:tls'
import { test } from 'tap'
import { createSimulator } from '@granary/ovirt-simulator'
import { Client, setUp } from './client.ts'
import type { Reply } from './client.ts'
import { addDisk, downloadDisk } from './flows.ts'

const TOKEN = '/ovirt-engine/sso/oauth/token'
const form = (fields: Record<string, string>): string => new URLSearchParams(fields).toString()
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const GRANT = {
  grant_type: 'password',
  scope: 'ovirt-app-api',
  username: 'admin@internal',
  password: 'simulated-secret',
}

test('§1.1 a token: exp is a string without an end, no expires_in', async t => {
  const client = await setUp(t)
  const { status, json } = await client.post(TOKEN, form(GRANT), FORM)
  t.equal(status, 200)
  t.same(Object.keys(json), ['access_token', 'scope', 'exp', 'token_type'])
  t.match(json.access_token, /^[\w-]{86}$/)
  t.equal(json.exp, '9223372036854775807')
  t.equal(json.token_type, 'bearer')
})

test('§1.1 Accept must be application/json to the letter', async t => {
  const client = await setUp(t)
  const { status, json } = await client.post(TOKEN, form(GRANT), {
    ...FORM,
    accept: 'application/json, text/plain, */*',
  })
  t.equal(status, 400)
  t.equal(json.error_code, 'invalid_request')
})

test('§1.1 errors are 400, in two shapes', async t => {
  const client = await setUp(t)
  const wrong = await client.post(TOKEN, form({ ...GRANT, password: 'x' }), FORM)
  t.equal(wrong.status, 400)
  t.match(wrong.json, { error_code: 'access_denied', error: /Cannot authenticate user 'admin@internal'/ })
  const oauth = await client.post(
    TOKEN,
    form({ ...GRANT, scope: 'ovirt-app-api ovirt-app-admin', password: 'x' }),
    FORM,
  )
  t.match(oauth.json, { error: 'access_denied', error_description: String })
  t.equal(
    (await client.post(TOKEN, form({ ...GRANT, grant_type: 'x' }), FORM)).json.error_code,
    'unsupported_grant_type',
  )
  t.equal((await client.post(TOKEN, form({ ...GRANT, scope: 'x' }), FORM)).json.error, 'invalid_scope')
  t.equal((await client.post(TOKEN, form({ ...GRANT, username: 'admin' }), FORM)).status, 400, 'no profile')
})

test('§1.1 what follows the last @ is the profile', async t => {
  const client = await setUp(t)
  for (const username of ['admin@ovirt@internalsso', 'user@example.com@ad']) {
    client.simulator.inventory.addAccount(username, 'x')
    t.equal((await client.post(TOKEN, form({ ...GRANT, username, password: 'x' }), FORM)).status, 200, username)
  }
})

test('§1.1 Kerberos: the web server negotiates, the grant is of its own, the token is like any other', async t => {
  const client = await setUp(t)
  const { kerberosTicket } = client.simulator.inventory.addAccount('user@example.com', 'x')
  const path = '/ovirt-engine/sso/oauth/token-http-auth'
  const grant = { grant_type: 'urn:ovirt:params:oauth:grant-type:http', scope: 'ovirt-app-api' }
  client.token = ''
  const asked = await client.post(path, form(grant), FORM)
  t.equal(asked.status, 401)
  t.equal(asked.headers['www-authenticate'], 'Negotiate')
  const known = { ...FORM, authorization: `Negotiate ${kerberosTicket}` }
  t.equal((await client.post(path, form(grant), { ...FORM, authorization: 'Negotiate YII=' })).status, 401)
  t.equal((await client.post(path, form({ ...grant, grant_type: 'password' }), known)).status, 400)
  const { status, json } = await client.post(path, form(grant), known)
  t.equal(status, 200)
  client.token = json.access_token
  const user = (await client.get('')).json.authenticated_user
  t.equal((await client.get(user.href)).json.principal, 'user@example.com')
})

test('§1.1 a session ends after 30 idle minutes, each call keeps it', async t => {
  const client = await setUp(t)
  const { clock } = client.simulator
  await clock.sleep(29 * 60_000)
  t.equal((await client.get('vms')).status, 200)
  await clock.sleep(29 * 60_000)
  t.equal((await client.get('vms')).status, 200)
  await clock.sleep(31 * 60_000)
  t.equal((await client.get('vms')).status, 401)
})

test('§1.1 a token has a longest age, however busy', async t => {
  const client = await setUp(t)
  const { clock } = client.simulator
  for (let hours = 0; hours < 100; hours += 0.5) {
    await clock.sleep(30 * 60_000)
    if ((await client.get('tags')).status !== 200) return t.fail(`gone after ${hours} hours`)
  }
  await clock.sleep(60_000)
  t.equal((await client.get('tags')).status, 401)
})

test('§1.1 logout', async t => {
  const client = await setUp(t)
  const { status, json } = await client.post(
    '/ovirt-engine/services/sso-logout',
    form({ scope: 'ovirt-app-api', token: client.token }),
    FORM,
  )
  t.equal(status, 200)
  t.same(json, {})
  t.equal((await client.get('vms')).status, 401)
})

test('§1.2 Basic, and a cookie where the client prefers one', async t => {
  const client = await setUp(t)
  client.token = ''
  const authorization = `Basic ${Buffer.from('admin@internal:simulated-secret').toString('base64')}`
  t.equal((await client.get('vms', { authorization })).status, 200)
  t.notOk((await client.get('vms', { authorization })).headers['set-cookie'])
  t.equal((await client.get('vms', { authorization: 'Basic eDp5' })).status, 401)
  const first = await client.get('vms', { authorization, prefer: 'persistent-auth' })
  const cookie = String(first.headers['set-cookie']).split(';')[0]
  t.match(cookie, /^JSESSIONID=/)
  t.equal((await client.get('vms', { cookie, prefer: 'persistent-auth' })).status, 200)
  t.equal((await client.get('vms', { cookie })).status, 401, 'Prefer has to be sent each time')
  const short = await client.get('vms', { authorization, prefer: 'persistent-auth', 'session-ttl': '5' })
  const soon = String(short.headers['set-cookie']).split(';')[0]
  await client.simulator.clock.sleep(6 * 60_000)
  t.equal((await client.get('vms', { cookie: soon, prefer: 'persistent-auth' })).status, 401)
})

test('§1.3 the CA is given to anybody, and signed the certificate of the engine', async t => {
  const client = await setUp(t)
  const pki = '/ovirt-engine/services/pki-resource?resource='
  client.token = ''
  const ca = await client.get(`${pki}ca-certificate&format=X509-PEM-CA`)
  t.equal(ca.status, 200)
  t.equal(ca.text, client.simulator.ca)
  const engine = new X509Certificate((await client.get(`${pki}engine-certificate&format=X509-PEM`)).text)
  const authority = new X509Certificate(ca.text)
  t.ok(engine.checkIssued(authority))
  t.ok(engine.verify(authority.publicKey))
  t.ok(authority.ca)
  t.equal(engine.checkIP('127.0.0.1'), '127.0.0.1')
  t.equal(engine.checkHost('localhost'), 'localhost')
  const unknown = await client.get(`${pki}nonsense&format=X509-PEM`)
  t.equal(unknown.status, 400)
  t.match(unknown.headers['content-type'], /html/)
})

test('§1.3 certificates in all formats', async t => {
  const client = await setUp(t)
  const get = async (resource: string, format: string): Promise<Reply> =>
    await client.get(`/ovirt-engine/services/pki-resource?resource=${resource}&format=${format}`)
  t.equal((await get('qemu-ca-certificate', 'X509-PEM-CA')).text, client.simulator.ca)
  t.equal((await get('ca-certificate', 'DER')).status, 400)
  const [type = '', blob = ''] = (await get('engine-certificate', 'OPENSSH-PUBKEY')).text.split(' ')
  t.equal(type, 'ecdsa-sha2-nistp256')
  const key = new X509Certificate((await get('engine-certificate', 'X509-PEM')).text).publicKey
  const { x = '', y = '' } = key.export({ format: 'jwk' })
  const point = Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  t.equal(Buffer.compare(Buffer.from(blob, 'base64').subarray(-64), point), 0)
})

test('§1.3 imageio has a certificate of the internal authority, also where the web server has another', async t => {
  const client = await setUp(t, { hasCustomCertificate: true })
  const { simulator } = client
  t.not(simulator.ca, simulator.internalCa)
  const pki = '/ovirt-engine/services/pki-resource?format=X509-PEM-CA&resource=ca-certificate'
  t.equal((await client.get(pki)).text, simulator.internalCa, 'which is what is handed out')
  for (const host of (await client.get('hosts')).json.host) {
    const certificate = await peerOf(host.address, 54322, simulator.internalCa)
    t.equal(certificate.subject, `CN=${host.address}`, 'its subject is the address in the engine')
    await t.rejects(peerOf(host.address, 54322, simulator.ca))
  }
  const transfer = await downloadDisk(client, await addDisk(client))
  const { port } = new URL(transfer.proxy_url)
  t.equal(
    (await peerOf('127.0.0.1', Number(port), simulator.ca)).issuer,
    'CN=custom-web-ca',
    "the proxy is the web server's",
  )
})

/** The certificate that is shown at an address. */
const peerOf = async (host: string, port: number, ca: string): Promise<X509Certificate> => {
  const socket = connect({ host, port, ca })
  try {
    await once(socket, 'secureConnect')
    return new X509Certificate(socket.getPeerCertificate().raw)
  } finally {
    socket.destroy()
  }
}

test('§1.3 another authority, and a certificate that has expired, are refused by clients', async t => {
  await using right = await createSimulator({ dir: t.testdir() })
  await using other = await createSimulator({ dir: `${t.testdirName}-other` })
  const client = new Client({ ...right, ca: other.ca } as typeof right)
  t.teardown(() => client.close())
  await t.rejects(client.get('vms'), {
    code: /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT|CERT_SIGNATURE_FAILURE|UNABLE_TO_VERIFY/,
  })
  await using expired = await createSimulator({ dir: `${t.testdirName}-expired`, certificateEndsMs: Date.now() - 1000 })
  const late = new Client(expired)
  t.teardown(() => late.close())
  await t.rejects(late.get('vms'), { code: 'CERT_HAS_EXPIRED' })
})

test('§1.4 the root: product, version, time, special objects, summary, links', async t => {
  const client = await setUp(t, { profile: 'zvirt-4.0' })
  const { json } = await client.get('')
  t.equal(json.product_info.name, 'zVirt')
  t.match(json.product_info.version, { major: '4', minor: '4', full_version: /^4\.4\.9/ })
  t.equal(json.time, client.simulator.clock.now())
  t.equal(json.special_objects.blank_template.id, '00000000-0000-0000-0000-000000000000')
  t.same(json.summary.hosts, { active: '2', total: '2' })
  for (const rel of ['imagetransfers', 'vms', 'vms/search'])
    t.ok(
      json.link.some((link: any) => link.rel === rel),
      rel,
    )
})

test('§1.4 version 4 by path or header, no other; HEAD works', async t => {
  const client = await setUp(t)
  t.equal((await client.get('/ovirt-engine/api/v4/vms')).status, 200)
  t.equal((await client.get('vms', { version: '4' })).status, 200)
  t.equal((await client.get('vms', { version: '3' })).status, 400)
  const wrong = await client.get('/ovirt-engine/api/v3/vms')
  t.equal(wrong.status, 400)
  t.match(wrong.headers['content-type'], /html/)
  const head = await client.send('HEAD', '/ovirt-engine/api')
  t.equal(head.status, 200)
  t.equal(head.text, '')
  t.match(head.headers['link'], '</ovirt-engine/api/vms>; rel=vms,')
})

test('§1.5 search: wildcards, and, or, quotes, case, sorting, paging', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  for (const name of ['web1', 'web2', 'Web 3', 'db'])
    await inventory.addVm({ name, clusterId: site.clusterId, status: name === 'db' ? 'down' : 'up' })
  const names = async (search: string, more = ''): Promise<string[]> => {
    const { json } = await client.get(`vms?search=${encodeURIComponent(search)}${more}`)
    return (json.vm ?? []).map((vm: any) => vm.name)
  }
  t.same(await names('name=web* sortby name asc'), ['Web 3', 'web1', 'web2'])
  t.same(await names('name=web*', '&case_sensitive=true'), ['web1', 'web2'])
  t.same(await names('name="web 3"'), ['Web 3'])
  t.same(await names('status=down or name=web1'), ['web1', 'db'])
  t.same(await names('name=web* and status=down'), [])
  t.same(
    await names('sortby name desc page 2', '&max=2'),
    ['db', 'Web 3'].toSorted((a, b) => (a < b ? 1 : -1)),
  )
  t.same(await names('name != db and cluster = Default', '&max=1'), ['web1'])
  t.same(await names('web2'), ['web2'], 'free text')
  t.same(await names('name=*e*b*1'), ['web1'])
  t.same(await names('name=w*b and name=web*1*'), [], 'the whole text is meant')
  t.same(await names('name=web1*1'), [], 'nothing is matched twice')
  t.same(await names(`name=${'*w'.repeat(2000)}`), [], 'many wildcards take no longer')
  t.equal((await client.get('vms?search=nonsense%3D1')).status, 400)
  t.equal((await client.get('vms?search=name%3D')).status, 400)
})

test('§1.5 hosts are found by hw_id, data centers by their storage', async t => {
  const client = await setUp(t)
  const [host] = (await client.get('hosts')).json.host
  const search = encodeURIComponent(`hw_id=${host.hardware_information.uuid} and status=up`)
  t.same(
    (await client.get(`hosts?search=${search}`)).json.host.map((one: any) => one.id),
    [host.id],
  )
  t.equal((await client.get('hosts?search=hw_uuid%3Dx')).status, 400)
  t.equal((await client.get('datacenters?search=storage.name%3Dnfs-data')).json.data_center.length, 1)
  t.equal((await client.get('storagedomains?search=datacenter%3DDefault')).json.storage_domain.length, 2)
})

test('§1.5 follow inlines links, and takes max away', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const storageDomainId = site.storageDomains[0]?.id ?? ''
  const nics = [{ name: 'nic1', vnic_profile: { id: site.vnicProfileId } }]
  for (const name of ['a', 'b'])
    await inventory.addVm({ name, clusterId: site.clusterId, nics, disks: [{ sizeBytes: 65536, storageDomainId }] })
  const { json } = await client.get('vms?max=1&follow=nics.reported_devices,disk_attachments.disk,snapshots,cluster')
  t.equal(json.vm.length, 2)
  const [vm] = json.vm
  t.equal(vm.nics.nic[0].reported_devices.reported_device[0].ips.ip[0].version, 'v4')
  t.equal(vm.disk_attachments.disk_attachment[0].disk.provisioned_size, '65536')
  t.equal(vm.snapshots.snapshot[0].snapshot_type, 'active')
  t.equal(vm.cluster.name, 'Default')
  t.equal((await client.get('vms?follow=nonsense')).status, 400)
})

test('§1.5 all_content adds the OVF and what else is left out', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const vm = await inventory.addVm({ name: 'a', clusterId: site.clusterId, config: { virtio_scsi: { enabled: true } } })
  const plain = (await client.get(`vms/${vm.id}`)).json
  t.notOk('initialization' in plain)
  t.notOk('virtio_scsi' in plain)
  for (const reply of [
    await client.get(`vms/${vm.id}?all_content=true`),
    await client.get(`vms/${vm.id}`, { 'all-content': 'true' }),
  ]) {
    t.equal(reply.json.initialization.configuration.type, 'ovf')
    t.match(reply.json.initialization.configuration.data, /^<\?xml/)
    t.equal(reply.json.virtio_scsi.enabled, 'true')
  }
})

test('§1.5 detail is older: of it only statistics are left', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  await inventory.addVm({ name: 'a', clusterId: site.clusterId })
  for (const path of ['vms?detail=statistics', 'vms;detail=statistics+nics']) {
    const [vm] = (await client.get(path)).json.vm
    t.equal(vm.statistics.statistic[1].values.value[0].datum, 2.5, path)
    t.notOk('nics' in vm)
  }
  t.equal((await client.get('networks?detail=statistics')).json.network.length, 1, 'which have none')
})

test('§1.5 hosts are for administrators: others see those that they may do something with', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  inventory.addAccount('user@internal', 'x', [])
  inventory.addAccount('operator@internal', 'x', [`RUN_VM@${site.hostIds[0]}`])
  await client.signIn('user@internal', 'x')
  t.equal((await client.get('hosts')).text, '{ }')
  await client.signIn('operator@internal', 'x')
  t.equal((await client.get('hosts')).json.host.length, 1)
})

test('§1.5 permissions: who may not, hears 403', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const vm = await inventory.addVm({ name: 'a', clusterId: site.clusterId, status: 'down' })
  inventory.addAccount('viewer@internal', 'x', [`RUN_VM@${vm.id}`])
  await inventory.addVm({ name: 'hidden', clusterId: site.clusterId })
  t.equal((await client.get('vms?filter=true')).text, '{ }', 'an administrator who asks for the view of a user')
  await client.signIn('viewer@internal', 'x')
  t.same(
    (await client.get('vms')).json.vm.map((one: any) => one.name),
    ['a'],
  )
  const refused = await client.send('DELETE', `vms/${vm.id}`)
  t.equal(refused.status, 403)
  t.equal(refused.json.detail, '[User is not authorized to perform this action.]')
  t.equal((await client.post(`vms/${vm.id}/start`, {})).status, 202)
  t.notOk('summary' in (await client.get('')).json, 'only administrators see the summary')
})
