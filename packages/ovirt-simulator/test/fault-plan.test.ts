/** Faults from a file: each one that can be armed so, and what it does. */
import { once } from 'node:events'
import { connect } from 'node:tls'
import { test } from 'tap'
import { applyFaultPlan, createSimulator, parseFaultPlan, simulatorOptionsOf } from '@granary/ovirt-simulator'
import { Client, setUp } from './client.ts'
import {
  HYBRID,
  KIB64,
  MIB,
  addDisk,
  downloadDisk,
  extentsOf,
  finish,
  idsOf,
  phase,
  put,
  readImage,
  readyBackup,
  setUpMachine,
  startTransfer,
  upload,
  wholeBackup,
} from './flows.ts'
import type { Machine } from './flows.ts'

test('a plan of faults is checked, entry by entry', async t => {
  for (const [text, place] of [
    ['nonsense', 'the file'],
    ['[]', 'the file'],
    ['{"surprise":1}', 'surprise'],
    ['{"http":{}}', 'http'],
    ['{"http":[1]}', 'http[0]'],
    ['{"http":[{"kind":"status"}]}', 'http[0].status'],
    ['{"http":[{"kind":"refuse","status":409}]}', 'http[0].detail'],
    ['{"http":[{"kind":"drop","times":"1"}]}', 'http[0].times'],
    ['{"http":[{"kind":"drop","wat":1}]}', 'http[0].wat'],
    ['{"imageio":[{}]}', 'imageio[0].effect'],
    ['{"imageio":[{"effect":{"kind":"drop"}}]}', 'imageio[0].effect.afterBytes'],
    ['{"engineAway":[{"how":"gone"}]}', 'engineAway[0].how'],
    ['{"engineAway":[{"how":"down","afterMs":1}]}', 'engineAway[0].forMs'],
    ['{"hiddenHosts":[1]}', 'hiddenHosts'],
    ['{"imageio":[{"resource":"images","effect":{"kind":"expire"}}]}', 'imageio[0].resource'],
    ['{"imageio":[{"effect":{"kind":"expire","wat":1}}]}', 'imageio[0].effect.wat'],
    ['{"engineCertificate":"none"}', 'engineCertificate'],
    ['{"accounts":[{"name":"a@b","password":"x"}]}', 'accounts[0].permits'],
    ['{"accounts":[{"name":"a@b","password":"x","permits":[1]}]}', 'accounts[0].permits'],
    ['{"steps":[{"do":"end-sessions"}]}', 'steps[0]'],
    ['{"steps":[{"do":"end-sessions","at":"backup-ready","afterMs":1}]}', 'steps[0]'],
    ['{"steps":[{"do":"end-sessions","at":"midnight"}]}', 'steps[0].at'],
    ['{"steps":[{"do":"nothing","afterMs":1}]}', 'steps[0].do'],
    ['{"steps":[{"do":"crash-vm","afterMs":1}]}', 'steps[0].vm'],
    ['{"steps":[{"do":"resize-disk","afterMs":1,"vm":"web","disk":1}]}', 'steps[0].sizeBytes'],
    ['{"steps":[{"do":"imageio-certificate","afterMs":1,"host":"host1","kind":"good"}]}', 'steps[0].kind'],
    ['{"steps":[{"do":"crash-vm","afterMs":-1,"vm":"web"}]}', 'steps[0].afterMs'],
  ] as const)
    t.throws(() => parseFaultPlan(text), { code: 'GRANARY_INVALID_ARGUMENT', detail: { place } }, text)
})

test('a plan of faults strikes as written', async t => {
  const client = await setUp(t)
  const { simulator } = client
  const plan = parseFaultPlan(
    JSON.stringify({
      http: [{ kind: 'status', status: 503, path: '*/api/hosts', times: 1 }],
      imageio: [{ host: 'host1', resource: 'extents', effect: { kind: 'status', status: 500 } }],
      engineAway: [{ afterMs: 60_000, forMs: 60_000, how: 'network' }],
      hiddenHosts: ['host2'],
    }),
  )
  await applyFaultPlan(simulator, plan)
  t.equal((await client.get('hosts')).status, 503)
  t.equal((await client.get('hosts')).status, 200)
  const diskId = await addDisk(client)
  const direct = await downloadDisk(client, diskId, { host: { id: simulator.site.hostIds[0] } })
  await t.rejects(extentsOf(client, direct.transfer_url, 'zero'), /500/)
  t.ok(await extentsOf(client, direct.transfer_url, 'zero'))
  await finish(client, direct.id)
  await simulator.clock.sleep(60_000)
  await t.rejects(client.get('hosts'))
  await simulator.clock.sleep(60_000)
  t.equal((await client.get('hosts')).status, 200)
  await t.rejects(applyFaultPlan(simulator, { ...plan, hiddenHosts: ['nobody'] }), { code: 'GRANARY_INVALID_ARGUMENT' })
  await phase(client, 'imagetransfers/' + direct.id, 'finished_success')
})

interface StepCase {
  readonly step: object
  /** @default a machine of level 4.6 that runs */
  readonly options?: object
  readonly machine?: object
  /** What was there before. */
  readonly before?: (client: Client, machine: Machine) => Promise<unknown>
  /** @returns whether it happened */
  readonly happened: (client: Client, machine: Machine) => Promise<boolean> | boolean
}

const status = async (client: Client, path: string): Promise<string> => (await client.get(path)).json?.status
const newDisk = async (client: Client): Promise<number> => {
  const domains = { storage_domain: [{ id: client.simulator.site.storageDomains[0]?.id }] }
  return (await client.post('disks', { provisioned_size: MIB, format: 'cow', storage_domains: domains })).status
}
const checkpoints = async (client: Client, { vm }: Machine): Promise<number> =>
  ((await client.get(`vms/${vm.id}/checkpoints`)).json.checkpoint ?? []).length
const download = async (client: Client): Promise<any> =>
  await downloadDisk(client, await addDisk(client), { host: { id: client.simulator.site.hostIds[0] } })
const twoBackups = async (client: Client, machine: Machine): Promise<void> => {
  await wholeBackup(client, machine)
  await wholeBackup(client, machine)
}
const incremental = async (client: Client, machine: Machine): Promise<any> => {
  const from_checkpoint_id = machine.vm.checkpoints.at(-1)?.id
  return await readyBackup(client, machine, { from_checkpoint_id })
}

const STEPS: readonly StepCase[] = [
  { step: { do: 'crash-vm', vm: 'web' }, happened: (_, { vm }) => vm.status === 'down' },
  {
    step: { do: 'start-vm', vm: 'web' },
    machine: { status: 'down' },
    happened: (client, { vm }) => vm.status === 'up' && client.simulator.site.hostIds.includes(vm.hostId ?? ''),
  },
  { step: { do: 'stop-vm', vm: 'web' }, happened: (_, { vm }) => vm.status === 'down' },
  {
    step: { do: 'migrate-vm', vm: 'web' },
    happened: (client, { vm }) => vm.hostId === client.simulator.site.hostIds[1],
  },
  {
    step: { do: 'take-snapshot', vm: 'web' },
    happened: async (client, { vm }) =>
      (await client.until(`vms/${vm.id}/snapshots`, ({ json }) =>
        json.snapshot.some((one: any) => one.description === 'somebody else' && one.snapshot_status === 'ok'),
      )) !== undefined,
  },
  {
    step: { do: 'foreign-backup', vm: 'web' },
    happened: async (client, machine) => {
      const { status, json } = await client.post(`vms/${machine.vm.id}/backups`, { disks: idsOf(machine.diskIds) })
      return status === 409 && /during a backup/.test(json.detail)
    },
  },
  {
    step: { do: 'delete-checkpoint', vm: 'web' },
    before: twoBackups,
    happened: async (client, machine) => (await checkpoints(client, machine)) === 1,
  },
  {
    step: { do: 'wipe-checkpoints', vm: 'web' },
    before: twoBackups,
    happened: async (client, machine) => (await checkpoints(client, machine)) === 0,
  },
  {
    step: { do: 'fail-merge', vm: 'web' },
    options: HYBRID,
    happened: async (client, machine) => {
      await wholeBackup(client, machine)
      return client.simulator.state().backupSnapshots.length === 1
    },
  },
  {
    step: { do: 'crash-host', host: 'host1' },
    before: wholeBackup,
    happened: async (client, machine) => {
      const isDown = (await status(client, `hosts/${client.simulator.site.hostIds[0]}`)) === 'non_responsive'
      client.simulator.faults.startVm(machine.vm.id)
      const next = await incremental(client, machine)
      return isDown && next.phase === 'failed' && (await checkpoints(client, machine)) === 0
    },
  },
  {
    step: { do: 'recover-host', host: 'host1' },
    before: async ({ simulator }) => await simulator.crashHost(simulator.site.hostIds[0] ?? ''),
    happened: async client => (await status(client, `hosts/${client.simulator.site.hostIds[0]}`)) === 'up',
  },
  {
    step: { do: 'hide-host', host: 'host1' },
    happened: async client => {
      const { transfer_url: direct, proxy_url: proxied } = await download(client)
      const { hostname: host, port } = new URL(direct)
      const socket = connect({ host, port: Number(port), ca: client.simulator.ca })
      let isAnswered = false
      socket.once('secureConnect', () => (isAnswered = true))
      await once(socket, 'connect')
      const { length } = await readImage(client, proxied, 0, 16)
      socket.destroy()
      return length === 16 && !isAnswered
    },
  },
  {
    step: { do: 'show-host', host: 'host1' },
    before: async ({ simulator }) => await simulator.faults.hideHost(simulator.site.hostIds[0] ?? ''),
    happened: async client => (await readImage(client, (await download(client)).transfer_url, 0, 16)).length === 16,
  },
  {
    step: { do: 'cut-host', host: 'host1' },
    happened: async client => {
      const { transfer_url: direct, proxy_url: proxied } = await download(client)
      return (
        (await fails(readImage(client, direct, 0, 16), /ECONNREFUSED/)) &&
        (await fails(readImage(client, proxied, 0, 16), /500/))
      )
    },
  },
  {
    step: { do: 'join-host', host: 'host1' },
    before: async ({ simulator }) => await simulator.faults.cutHost(simulator.site.hostIds[0] ?? '', 'refused'),
    happened: async client => (await readImage(client, (await download(client)).proxy_url, 0, 16)).length === 16,
  },
  {
    step: { do: 'restart-imageio', host: 'host1' },
    before: async client => {
      transferId = (await download(client)).id
    },
    happened: async client =>
      (await phase(client, `imagetransfers/${transferId}`, 'finished_failure')).phase !== 'gone',
  },
  {
    step: { do: 'imageio-certificate', host: 'host1', kind: 'foreign' },
    happened: async client =>
      await fails(readImage(client, (await download(client)).transfer_url, 0, 16), /CERT|VERIFY|ISSUER/),
  },
  {
    step: { do: 'imageio-certificate', host: 'host1', kind: 'expired' },
    happened: async client => await fails(readImage(client, (await download(client)).transfer_url, 0, 16), /EXPIRED/),
  },
  {
    step: { do: 'back-up-in-full', vm: 'web', disk: 1 },
    before: wholeBackup,
    happened: async (client, machine) => {
      const { id } = await incremental(client, machine)
      const { disk } = (await client.get(`vms/${machine.vm.id}/backups/${id}/disks`)).json
      return disk.map((one: any) => one.backup_mode).join() === 'full,incremental'
    },
  },
  {
    step: { do: 'remove-disk', vm: 'web', disk: 2 },
    happened: async (client, { diskIds }) => (await client.get(`disks/${diskIds[1]}`)).status === 404,
  },
  {
    step: { do: 'detach-disk', vm: 'web', disk: 2 },
    happened: async (client, { vm, diskIds }) =>
      !vm.attachments.has(diskIds[1] ?? '') && (await status(client, `disks/${diskIds[1]}`)) === 'ok',
  },
  {
    step: { do: 'share-disk', vm: 'web', disk: 1 },
    happened: async (client, machine) => {
      const { id } = await readyBackup(client, machine)
      const { disk } = (await client.get(`vms/${machine.vm.id}/backups/${id}/disks`)).json
      return disk.length === 1 && disk[0].id === machine.diskIds[1]
    },
  },
  {
    step: { do: 'resize-disk', vm: 'web', disk: 1, sizeBytes: 8 * MIB },
    happened: async (client, { diskIds }) =>
      (await client.get(`disks/${diskIds[0]}`)).json.provisioned_size === String(8 * MIB),
  },
  {
    step: { do: 'domain-status', domain: 'nfs-data', status: 'inactive' },
    happened: async client => (await newDisk(client)) === 409,
  },
  {
    step: { do: 'fill-domain', domain: 'nfs-data', leftBytes: KIB64 },
    happened: async ({ simulator }, { vm, diskIds }) => {
      const isFull = await fails(
        simulator.guest(vm.id, diskIds[0] ?? '').write(2 * MIB, new Uint8Array(MIB).fill(1)),
        /NO_SPACE/,
      )
      return isFull && vm.status === 'paused'
    },
  },
  {
    step: { do: 'require-quota', domain: 'nfs-data' },
    happened: async client => (await newDisk(client)) === 409,
  },
  {
    step: { do: 'fail-verification' },
    happened: async client => {
      const transfer = await upload(client, await addDisk(client))
      await put(client, transfer.transfer_url, 0, new Uint8Array(KIB64))
      return (await finish(client, transfer.id)).phase === 'finished_failure'
    },
  },
  {
    step: { do: 'lose-backups' },
    before: async (client, machine) => void (await readyBackup(client, machine)),
    happened: async (client, { vm }) => (await client.get(`vms/${vm.id}/backups`)).json.backup[0].phase === 'failed',
  },
  { step: { do: 'end-sessions' }, happened: async client => (await client.get('vms')).status === 401 },
  {
    step: { do: 'take-mac', mac: '02:00:00:00:00:01' },
    happened: async (client, { vm }) =>
      (await client.post(`vms/${vm.id}/nics`, { name: 'nic1', mac: { address: '02:00:00:00:00:01' } })).status === 409,
  },
]
let transferId = ''

const fails = async (work: Promise<unknown>, pattern: RegExp): Promise<boolean> =>
  await work.then(
    () => false,
    (error: NodeJS.ErrnoException) => pattern.test(`${error.code} ${error.message}`),
  )

for (const { step, options = {}, machine: machineOptions = {}, before, happened } of STEPS)
  test(`a step: ${JSON.stringify(step)}`, async t => {
    const { client, machine, simulator } = await setUpMachine(t, options, { disks: 2, ...machineOptions })
    await before?.(client, machine)
    await applyFaultPlan(simulator, parseFaultPlan(JSON.stringify({ steps: [{ ...step, afterMs: 60_000 }] })))
    await simulator.clock.sleep(60_000)
    t.ok(await happened(client, machine))
  })

test('each step that there is has been tried', async t => {
  const tried = new Set([...STEPS.map(({ step }) => (step as { do: string }).do), 'take-name'])
  const message = `faults: steps[0].do is none of ${[...tried].toSorted().join(', ')}`
  try {
    parseFaultPlan('{"steps":[{"do":"?","afterMs":1}]}')
    t.fail('a step that does not exist')
  } catch (error) {
    const [start = '', names = ''] = (error as Error).message.split(' none of ')
    t.equal(`${start} none of ${names.split(', ').toSorted().join(', ')}`, message)
  }
})

test('steps at moments: of that machine, as often as they are told', async t => {
  const { client, machine, simulator } = await setUpMachine(t)
  const other = await addOther(client)
  const steps = [{ at: 'backup-ready', vm: 'web', do: 'wipe-checkpoints', times: 2 }]
  await applyFaultPlan(simulator, parseFaultPlan(JSON.stringify({ steps })))
  await wholeBackup(client, other)
  t.equal(await checkpoints(client, other), 1, 'another machine is left alone')
  for (const left of [0, 0, 1]) {
    await wholeBackup(client, machine)
    t.equal(await checkpoints(client, machine), left)
  }
})

const addOther = async (client: Client): Promise<Machine> => {
  const { inventory, site } = client.simulator
  const disks = [{ sizeBytes: MIB, storageDomainId: site.storageDomains[0]?.id ?? '' }]
  const vm = await inventory.addVm({ name: 'other', clusterId: site.clusterId, disks })
  return { vm, diskIds: [...vm.attachments.keys()] }
}

test('a name is taken between the check and the POST, from a plan', async t => {
  const client = await setUp(t)
  const steps = [{ at: 'engine-request', request: 'POST */api/vms', do: 'take-name', name: 'web' }]
  await applyFaultPlan(client.simulator, parseFaultPlan(JSON.stringify({ steps })))
  t.same((await client.get('vms?search=name%3Dweb')).json, {})
  const body = { name: 'web', cluster: { name: 'Default' }, template: { name: 'Blank' } }
  t.equal((await client.post('vms', body)).status, 409)
  t.equal((await client.post('vms', { ...body, name: 'web_1' })).status, 201)
})

test('accounts that may not do everything, by the names of machines and storage domains', async t => {
  const { client, machine, simulator } = await setUpMachine(t)
  const account = { name: 'operator@internal', password: 'x', permits: ['BACKUP_DISK@web', 'EDIT_DISK_PROPERTIES'] }
  await applyFaultPlan(simulator, parseFaultPlan(JSON.stringify({ accounts: [account] })))
  await client.signIn('operator@internal', 'x')
  const { id } = await readyBackup(client, machine)
  const body = { disk: { id: machine.diskIds[0] }, backup: { id }, direction: 'download', format: 'raw' }
  const transfer = await startTransfer(client, body)
  t.equal((await client.post(`imagetransfers/${transfer.id}/finalize`, {})).status, 403)
})

test('what a plan names must be there', async t => {
  const { simulator } = await setUpMachine(t)
  for (const [plan, place] of [
    [{ steps: [{ afterMs: 1, do: 'crash-vm', vm: 'wep' }] }, 'steps[0].vm'],
    [{ steps: [{ afterMs: 1, do: 'remove-disk', vm: 'web', disk: 3 }] }, 'steps[0].disk'],
    [{ steps: [{ afterMs: 1, do: 'fill-domain', domain: 'nfs' }] }, 'steps[0].domain'],
    [{ steps: [{ afterMs: 1, do: 'crash-host', host: 'host9' }] }, 'steps[0].host'],
    [{ imageio: [{ host: 'host9', effect: { kind: 'expire' } }] }, 'imageio[0].host'],
    [{ accounts: [{ name: 'a@b', password: 'x', permits: ['RUN_VM@wep'] }] }, 'accounts[0].permits'],
  ] as const)
    await t.rejects(applyFaultPlan(simulator, parseFaultPlan(JSON.stringify(plan))), {
      code: 'GRANARY_INVALID_ARGUMENT',
      detail: { place },
      message: /is not known: /,
    })
})

test('the certificate of the engine is expired, or of another authority than those of the hosts', async t => {
  const expired = parseFaultPlan('{"engineCertificate":"expired"}')
  await using simulator = await createSimulator({ dir: t.testdir(), ...simulatorOptionsOf(expired) })
  const client = new Client(simulator)
  t.teardown(() => client.close())
  await t.rejects(client.get('vms'), { code: 'CERT_HAS_EXPIRED' })
  const custom = parseFaultPlan('{"engineCertificate":"custom"}')
  await using other = await createSimulator({ dir: t.testdirName, ...simulatorOptionsOf(custom) })
  t.not(other.ca, other.internalCa)
})
