/** Links lead somewhere: whatever an answer points to is there, and every action that is offered exists. CONTRACT §0.1 */
import { test } from 'tap'
import type { Client } from './client.ts'
import { addDisk, readyBackup, setUpMachine, startTransfer, wholeBackup } from './flows.ts'

interface Pointer {
  readonly href: string
  readonly from: string
  readonly isAction: boolean
}

/** Every href of an answer; those of `actions` are for POST. */
const pointersIn = (from: string, value: unknown, isAction = false): Pointer[] => {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    if (name === 'href') return [{ href: String(inner), from, isAction }]
    return pointersIn(from, inner, isAction || name === 'actions')
  })
}

/** Templates are no links; the snapshot of a hybrid backup is gone when the backup is over. */
const isMeant = ({ href, from }: Pointer): boolean =>
  !href.includes('{query}') && !(/\/backups/.test(from) && href.includes('/snapshots/'))

/** Follows all links from the root on. @returns those that lead nowhere */
const crawl = async (client: Client): Promise<{ readonly seen: number; readonly dead: string[] }> => {
  const seen = new Map<string, boolean>()
  const dead: string[] = []
  const waiting: Pointer[] = [{ href: '/ovirt-engine/api', from: '', isAction: false }]
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { href, from, isAction } = next
    const key = `${isAction ? 'POST' : 'GET'} ${href}`
    if (seen.has(key)) continue
    seen.set(key, true)
    if (isAction) {
      // A body that no action takes is refused as such, unless there is no such action.
      const { status } = await client.post(href, { nonsense: true })
      if (status !== 400) dead.push(`${from}: POST ${href}: ${status}`)
      continue
    }
    const { status, json } = await client.get(href)
    if (status !== 200) dead.push(`${from}: GET ${href}: ${status}`)
    else waiting.push(...pointersIn(href, json).filter(isMeant))
  }
  return { seen: seen.size, dead }
}

test('§0.1 every link leads somewhere, and every action that is offered is there', async t => {
  for (const clusterLevel of ['4.6', '4.7']) {
    const { client, machine, simulator, path } = await setUpMachine(t, { clusterLevel })
    const { site, inventory } = simulator
    inventory.addStorageDomain({ name: 'isos', dataCenterId: site.dataCenterId, kind: 'iso' }).files.push('tools.iso')
    inventory.addQuota('some', site.dataCenterId)
    await client.post(`${path}/nics`, { name: 'nic1', vnic_profile: { id: site.vnicProfileId } })
    await client.post(`${path}/watchdogs`, { model: 'i6300esb' })
    await client.post('tags', { name: 'gold' })
    await client.post(`${path}/tags`, { name: 'gold' })
    await client.post(`${path}/snapshots`, { description: 'x', persist_memorystate: false })
    await simulator.clock.sleep(60_000)
    await wholeBackup(client, machine)
    await readyBackup(client, machine)
    await startTransfer(client, { disk: { id: await addDisk(client) }, direction: 'download', format: 'raw' })
    const { seen, dead } = await crawl(client)
    t.ok(seen > 150, `${seen} links`)
    t.same(dead, [])
  }
})
