/** Machines to look at and to back up, for who starts a simulator by hand. @module */
import { createHash } from 'node:crypto'
import type { Vm } from './model/state.ts'
import type { Simulator } from './simulator.ts'

const MIB = 1024 ** 2
const DISK_BYTES = 64 * MIB
const DATA_BYTES = 8 * MIB

/** Two machines: `web`, running, with two disks; `db`, stopped, with one. All have some data. */
export const addDemoMachines = async (simulator: Simulator): Promise<readonly Vm[]> => {
  const { inventory, site } = simulator
  const storageDomainId = site.storageDomains[0]?.id ?? ''
  const disk = { sizeBytes: DISK_BYTES, storageDomainId }
  const nics = [{ name: 'nic1', vnic_profile: { id: site.vnicProfileId } }]
  const machines = [
    await inventory.addVm({ name: 'web', clusterId: site.clusterId, nics, disks: [disk, disk] }),
    await inventory.addVm({ name: 'db', clusterId: site.clusterId, nics, disks: [disk], status: 'down' }),
  ]
  for (const { attachments, config } of machines)
    for (const [n, diskId] of [...attachments.keys()].entries())
      await simulator.image(diskId).write(MIB, bytesOf(`${String(config['name'])}/${n}`))
  return machines
}

/** The same bytes for the same seed, that compress as badly as real ones do. */
const bytesOf = (seed: string): Uint8Array => createHash('shake256', { outputLength: DATA_BYTES }).update(seed).digest()
