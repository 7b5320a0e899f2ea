/** What a guest agent tells of its guest, and what its host measures (CONTRACT §2.1). @module */
import { createHash } from 'node:crypto'
import type { Attributes } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import { isRunning, vmHref } from './vm.ts'

/** An id that is the same each time it is asked for. */
const stableId = (...parts: readonly unknown[]): string => {
  const hex = createHash('sha256').update(parts.join('/')).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}

export const guestDevices = (vm: Vm, nic: Attributes): Attributes[] => {
  if (!isRunning(vm) || !vm.hasAgent) return []
  const address = String((nic['mac'] as Attributes)['address'])
  const last = Number.parseInt(address.slice(-2), 16)
  const id = stableId(vm.id, nic['id'])
  return [
    {
      name: nic['name'],
      type: 'network',
      mac: { address },
      ips: [{ address: `192.0.2.${last}`, version: 'v4' }],
      vm: { id: vm.id },
      id,
      href: `${vmHref(vm)}/reporteddevices/${id}`,
    },
  ]
}

/** Packages that the agent reports: its own among them. */
export const guestApplications = (vm: Vm): Attributes[] => {
  if (!isRunning(vm) || !vm.hasAgent) return []
  return ['kernel-4.18.0-305.el8', 'qemu-guest-agent-4.2.0-34.el8'].map(name => {
    const id = stableId(vm.id, name)
    return { name, vm: { id: vm.id }, id, href: `${vmHref(vm)}/applications/${id}` }
  })
}

/** Measured once a host runs it: whole numbers, and one that is none. */
export const vmStatistics = (vm: Vm): Attributes[] => {
  if (!isRunning(vm)) return []
  const measured = [
    { name: 'memory.installed', type: 'integer', unit: 'bytes', datum: Number(vm.config['memory']) },
    { name: 'cpu.current.total', type: 'decimal', unit: 'percent', datum: 2.5 },
  ]
  return measured.map(({ datum, ...rest }) => {
    const id = stableId(vm.id, rest.name)
    const href = `${vmHref(vm)}/statistics/${id}`
    return { ...rest, kind: 'gauge', values: [{ datum }], vm: { id: vm.id }, id, href }
  })
}
