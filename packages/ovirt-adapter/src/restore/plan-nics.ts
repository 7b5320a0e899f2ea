/** Which networks the NICs get. @module */
import type { MachineNic, MachineRecord, Named } from '../machine/machine-record.ts'
import type { Place } from './plan-place.ts'
import type { Findings, PlannedNic, RestoreChoices } from './plan.ts'
import { mapped } from './restore-map.ts'
import type { RestoreTarget } from './target.ts'

export const planNics = (
  { nics }: MachineRecord,
  target: RestoreTarget,
  choices: RestoreChoices,
  { place, findings }: { readonly place: Place; readonly findings: Findings },
): PlannedNic[] =>
  nics.map(nic => {
    const profile = profileOf(nic, target, choices, { place, findings })
    return {
      name: nic.name,
      interface: nic.interface,
      isLinked: nic.isLinked,
      isPlugged: nic.isPlugged,
      ...(choices.keepsMac === true && nic.mac !== undefined ? { mac: nic.mac } : {}),
      ...(profile === undefined ? {} : { profile }),
    }
  })

/** What was named outright must be there; what the NIC had may be gone: then it gets an empty profile. */
const profileOf = (
  nic: MachineNic,
  target: RestoreTarget,
  { map, vnicProfile }: RestoreChoices,
  { place: { dataCenter }, findings }: { readonly place: Place; readonly findings: Findings },
): Named | undefined => {
  const offered = target.vnicProfiles.filter(({ dataCenterId }) => dataCenterId === dataCenter.id)
  const asked = mapped(map?.nics, nic.name) ?? vnicProfile ?? mappedNetwork(nic, map?.networks)
  const wanted = asked ?? (nic.profile === undefined ? '' : `${nic.profile.network}/${nic.profile.name}`)
  if (wanted === '') return undefined
  const found =
    offered.find(({ id, name, network }) => `${network}/${name}` === wanted || id === wanted) ??
    onlyOne(offered.filter(({ name }) => name === wanted)) ??
    onlyOne(offered.filter(({ network }) => network === wanted))
  if (found !== undefined) return { id: found.id, name: `${found.network}/${found.name}` }
  const names = offered.map(({ name, network }) => `${network}/${name}`).join(', ') || 'none'
  if (asked === undefined)
    findings.warnings.push(
      `NIC "${nic.name}": there is no vNIC profile "${wanted}" in "${dataCenter.name}"; it gets an empty one`,
    )
  else findings.problems.push(`NIC "${nic.name}": there is no vNIC profile "${wanted}"; there are ${names}`)
  return undefined
}

/** A whole network, with the profile of the same name as before, or one profile. */
const mappedNetwork = (
  { profile }: MachineNic,
  networks: Readonly<Record<string, string>> | undefined,
): string | undefined => {
  if (profile === undefined) return undefined
  const whole = mapped(networks, `${profile.network}/${profile.name}`)
  if (whole !== undefined) return whole
  const network = mapped(networks, profile.network)
  if (network === undefined || network === '' || network.includes('/')) return network
  return `${network}/${profile.name === profile.network ? network : profile.name}`
}

const onlyOne = <Item>(items: readonly Item[]): Item | undefined => (items.length === 1 ? items[0] : undefined)
