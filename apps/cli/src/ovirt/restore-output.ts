/** Plans and reports of restores, for people and for programs. @module */
import { formatBytes } from '@granary/core'
import type { InPlacePlan, InPlaceReport, RestorePlan, RestoreReport } from '@granary/ovirt-adapter'
import type { Terminal } from '../terminal/terminal.ts'
import { formatTable } from '../terminal/table.ts'

/** What would be done. In JSON, the body that would be sent is left out: it is the engine's, and changes with it. */
export const showPlan = (terminal: Terminal, plan: RestorePlan): void => {
  const { machine, nics, disks } = plan
  terminal.emit({
    type: 'restore-plan',
    v: 1,
    snapshot: plan.snapshotId,
    machine: machine.way === 'none' ? null : { name: machine.name, cluster: machine.cluster, way: machine.way },
    disks: disks.map(disk => ({
      name: disk.name,
      alias: disk.alias,
      sizeBytes: disk.sizeBytes,
      format: disk.format,
      isSparse: disk.isSparse,
      storageDomain: disk.storageDomain,
    })),
    nics: nics.map(({ name, mac, profile }) => ({ name, mac: mac ?? null, profile: profile ?? null })),
    notRestored: plan.notRestored,
    warnings: plan.warnings,
  })
  if (machine.way !== 'none') terminal.say(`machine "${machine.name}" in cluster "${machine.cluster.name}"`)
  const diskRows = disks.map(({ alias, sizeBytes, format, isSparse, storageDomain }) => [
    alias,
    formatBytes(sizeBytes),
    `${format}, ${isSparse ? 'thin' : 'preallocated'}`,
    storageDomain.name,
  ])
  if (diskRows.length > 0) sayTable(terminal, ['DISK', 'SIZE', 'SHAPE', 'STORAGE DOMAIN'], diskRows)
  const nicRows = nics.map(({ name, mac, profile }) => [name, mac ?? 'a new MAC', profile?.name ?? 'no network'])
  if (nicRows.length > 0) sayTable(terminal, ['NIC', 'MAC', 'PROFILE'], nicRows)
  for (const text of plan.notRestored) terminal.say(`not restored: ${text}`)
  for (const text of plan.warnings) terminal.warn(text)
}

const sayTable = (terminal: Terminal, header: readonly string[], rows: readonly (readonly string[])[]): void => {
  terminal.say(formatTable(header, rows))
}

export const showReport = (terminal: Terminal, report: RestoreReport): void => {
  terminal.emit({
    type: 'machine-restored',
    v: 1,
    vm: report.vmId === undefined ? null : { id: report.vmId, name: report.name },
    cluster: report.cluster,
    disks: report.disks,
    nics: report.nics,
    isStarted: report.isStarted,
    notRestored: report.notRestored,
    warnings: report.warnings,
  })
  const disks = `${report.disks.length} ${report.disks.length === 1 ? 'disk' : 'disks'}`
  if (report.vmId === undefined) terminal.say(`${disks} restored: ${report.disks.map(({ alias }) => alias).join(', ')}`)
  else {
    terminal.say(
      `machine "${report.name}" restored in cluster "${report.cluster}": ${disks}, ${report.nics.length} NICs${report.isStarted ? ', started' : ''}`,
    )
  }
  for (const text of report.notRestored) terminal.say(`not restored: ${text}`)
  for (const text of report.warnings) terminal.warn(text)
}

export const showInPlacePlan = (terminal: Terminal, plan: InPlacePlan): void => {
  terminal.emit({
    type: 'in-place-plan',
    v: 1,
    snapshot: plan.snapshotId,
    vm: { id: plan.vmId, name: plan.vmName },
    disks: plan.disks.map(({ name, alias, diskId, sizeBytes }) => ({ name, alias, id: diskId, sizeBytes })),
    warnings: plan.warnings,
  })
  for (const { name, alias, sizeBytes } of plan.disks)
    terminal.say(`disk "${alias}" of "${plan.vmName}", ${formatBytes(sizeBytes)}, gets the content of "${name}"`)
  for (const text of plan.warnings) terminal.warn(text)
}

export const showInPlaceReport = (terminal: Terminal, report: InPlaceReport): void => {
  terminal.emit({
    type: 'restored-in-place',
    v: 1,
    vm: { id: report.vmId, name: report.name },
    disks: report.disks,
    removedCheckpoints: report.removedCheckpoints,
    warnings: report.warnings,
  })
  for (const { alias, writtenBytes } of report.disks)
    terminal.say(`disk "${alias}" of "${report.name}" restored: ${formatBytes(writtenBytes)} differed`)
  terminal.say('the next backup of this machine is a full one')
  for (const text of report.warnings) terminal.warn(text)
}
