/** The steps of backup software, as plainly as they can be: for tests of the engine, not of a client. */
import { Agent, request } from 'node:https'
import type { Simulator, SimulatorOptions, Vm } from '@granary/ovirt-simulator'
import type { Test } from 'tap'
import { setUp } from './client.ts'
import type { Client } from './client.ts'

export const MIB = 1024 ** 2

export interface Machine {
  readonly vm: Vm
  readonly diskIds: readonly string[]
}

export interface MachineOptions {
  readonly name?: string
  readonly disks?: number
  readonly status?: string
  readonly disk?: Record<string, unknown>
  readonly domain?: number
}

/** A VM with disks of a MiB of each its own byte. */
export const addMachine = async (client: Client, options: MachineOptions = {}): Promise<Machine> => {
  const { name = 'web', disks = 1, status = 'up', disk = {}, domain = 0 } = options
  const { inventory, site } = client.simulator
  const storageDomainId = site.storageDomains[domain]?.id ?? ''
  const vm = await inventory.addVm({
    name,
    clusterId: site.clusterId,
    status,
    disks: Array.from({ length: disks }, () => ({ sizeBytes: 4 * MIB, storageDomainId, ...disk })),
  })
  const diskIds = [...vm.attachments.keys()]
  for (const [n, id] of diskIds.entries()) await client.simulator.image(id).write(0, new Uint8Array(MIB).fill(n + 1))
  return { vm, diskIds }
}

/** The level from which backups are hybrid. */
export const HYBRID = { clusterLevel: '4.7' } as const

/** A simulator with one machine. @default its cluster has level 4.6: backups are live or cold */
export const setUpMachine = async (
  t: Test,
  options: Partial<SimulatorOptions> = {},
  machineOptions: MachineOptions = {},
): Promise<{ client: Client; machine: Machine; simulator: Simulator; path: string }> => {
  const client = await setUp(t, { clusterLevel: '4.6', ...options })
  const machine = await addMachine(client, machineOptions)
  return { client, machine, simulator: client.simulator, path: `vms/${machine.vm.id}` }
}

export const idsOf = (diskIds: readonly string[]): object => ({ disk: diskIds.map(id => ({ id })) })

export const startBackup = async (
  client: Client,
  { vm, diskIds }: Machine,
  body: object = {},
  query = '',
): Promise<any> => {
  const reply = await client.post(`vms/${vm.id}/backups${query}`, { disks: idsOf(diskIds), ...body })
  if (reply.status !== 201) throw new Error(`POST backups: ${reply.status} ${reply.text}`)
  return reply.json
}

/** The entity once it is in one of the phases; `gone` where an old engine has forgotten it. */
export const phase = async (client: Client, path: string, ...wanted: string[]): Promise<any> => {
  const reply = await client.until(path, ({ status, json }) => status === 404 || wanted.includes(json?.phase))
  return reply.status === 404 ? { phase: 'gone' } : reply.json
}

export const readyBackup = async (client: Client, machine: Machine, body: object = {}, query = ''): Promise<any> => {
  const backup = await startBackup(client, machine, body, query)
  return await phase(client, `vms/${machine.vm.id}/backups/${backup.id}`, 'ready', 'failed')
}

export const endBackup = async (client: Client, { vm }: Machine, backupId: string): Promise<any> => {
  await client.post(`vms/${vm.id}/backups/${backupId}/finalize`, {})
  return await phase(client, `vms/${vm.id}/backups/${backupId}`, 'succeeded', 'failed')
}

/** A backup from its start to its end, read by nobody. @returns it as it was when it was ready */
export const wholeBackup = async (client: Client, machine: Machine, body: object = {}, query = ''): Promise<any> => {
  const backup = await readyBackup(client, machine, body, query)
  await endBackup(client, machine, backup.id)
  return backup
}

export const startTransfer = async (client: Client, body: object): Promise<any> => {
  const reply = await client.post('imagetransfers', body)
  if (reply.status !== 201) throw new Error(`POST imagetransfers: ${reply.status} ${reply.text}`)
  return await phase(client, `imagetransfers/${reply.json.id}`, 'transferring')
}

/** The transfer of one disk of a backup. */
export const downloadBackup = async (client: Client, backupId: string, diskId: string | undefined): Promise<any> =>
  await downloadDisk(client, diskId, { backup: { id: backupId } })

/** The transfer of a disk that no running machine has. */
export const downloadDisk = async (client: Client, diskId: string | undefined, more: object = {}): Promise<any> =>
  await startTransfer(client, { disk: { id: diskId }, direction: 'download', format: 'raw', ...more })

export const finish = async (client: Client, id: string, action: 'finalize' | 'cancel' = 'finalize'): Promise<any> => {
  await client.post(`imagetransfers/${id}/${action}`, {})
  return await phase(client, `imagetransfers/${id}`, 'finished_success', 'finished_failure')
}

export interface ImageReply {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly bytes: Buffer
}

/** One request to imageio, on a connection of its own that is closed with it. */
export const image = async (
  client: Client,
  method: string,
  url: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: Uint8Array | string } = {},
): Promise<ImageReply> =>
  await new Promise((resolve, reject) => {
    const agent = new Agent({ ca: client.simulator.ca })
    const length = body === undefined ? {} : { 'content-length': String(body.length) }
    const outgoing = request(
      url,
      { method, agent, headers: { connection: 'close', ...length, ...headers } },
      response => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes: Buffer.concat(pieces) }),
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })

export const readImage = async (client: Client, url: string, offset: number, length: number): Promise<Buffer> => {
  const reply = await image(client, 'GET', url, { headers: { range: `bytes=${offset}-${offset + length - 1}` } })
  if (reply.status !== 206) throw new Error(`GET image: ${reply.status} ${reply.bytes.toString()}`)
  return reply.bytes
}

export const extentsOf = async (client: Client, url: string, context: 'zero' | 'dirty'): Promise<any[]> => {
  const reply = await image(client, 'GET', `${url}/extents?context=${context}`)
  if (reply.status !== 200) throw new Error(`GET extents: ${reply.status}`)
  return JSON.parse(reply.bytes.toString())
}

/** A whole backup of one disk: what it holds, and what is dirty. */
export const backUpDisk = async (
  client: Client,
  backupId: string,
  diskId: string,
): Promise<{ bytes: Buffer; dirty?: any[] }> => {
  const transfer = await downloadBackup(client, backupId, diskId)
  const zero = await extentsOf(client, transfer.transfer_url, 'zero')
  const sizeBytes = zero.at(-1).start + zero.at(-1).length
  const bytes = await readImage(client, transfer.transfer_url, 0, sizeBytes)
  const dirty = await extentsOf(client, transfer.transfer_url, 'dirty').catch(() => undefined)
  await finish(client, transfer.id)
  return { bytes, ...(dirty !== undefined && { dirty: dirty.filter(extent => extent.dirty) }) }
}

export const KIB64 = 65_536

/** A floating disk, made through the API. */
export const addDisk = async (client: Client, body: object = {}, domain = 0): Promise<string> => {
  const { site } = client.simulator
  const { json, status } = await client.post('disks', {
    alias: 'restored',
    provisioned_size: 4 * MIB,
    format: 'cow',
    sparse: true,
    storage_domains: { storage_domain: [{ id: site.storageDomains[domain]?.id }] },
    ...body,
  })
  if (status !== 202) throw new Error(JSON.stringify(json))
  await client.until(`disks/${json.id}`, reply => reply.json.status === 'ok')
  return json.id
}

export const upload = async (client: Client, diskId: string, more: object = {}): Promise<any> =>
  await startTransfer(client, { disk: { id: diskId }, direction: 'upload', format: 'raw', ...more })

export const put = async (client: Client, url: string, offset: number, body: Uint8Array): Promise<number> => {
  const range = `bytes ${offset}-${offset + body.length - 1}/*`
  return (await image(client, 'PUT', `${url}?flush=n`, { headers: { 'content-range': range }, body })).status
}

export const patch = async (client: Client, url: string, op: object): Promise<number> =>
  (await image(client, 'PATCH', url, { headers: { 'content-type': 'application/json' }, body: JSON.stringify(op) }))
    .status

/** What `state()` has when nobody left anything behind. */
export const CLEAN = {
  lockedDisks: [],
  illegalDisks: [],
  lockedVms: [],
  openBackups: [],
  openTransfers: [],
  backupSnapshots: [],
  scratchDisks: [],
  floatingDisks: [],
  runningJobs: [],
}

/** What `state()` has when nothing is under way. */
export const NOTHING_LEFT = { lockedDisks: [], illegalDisks: [], openTransfers: [], openBackups: [] }
