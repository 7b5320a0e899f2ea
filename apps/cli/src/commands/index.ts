/** The table of commands: help, completion and parsing come from it. @module */
import type { Command } from '../command.ts'
import { backup } from './backup.ts'
import { bench } from './bench.ts'
import { cat } from './cat.ts'
import { catalogCommands } from './catalog.ts'
import { check } from './check.ts'
import { clientCommands } from './client.ts'
import { commit } from './commit.ts'
import { completion } from './completion.ts'
import { copy } from './copy.ts'
import { diff } from './diff.ts'
import { extract } from './extract.ts'
import { find } from './find.ts'
import { forget } from './forget.ts'
import { gc } from './gc.ts'
import { info } from './info.ts'
import { init } from './init.ts'
import { keyCommands } from './key.ts'
import { ls } from './ls.ts'
import { map } from './map.ts'
import { measure } from './measure.ts'
import { ovirtBackup } from './ovirt-backup.ts'
import { ovirtBackups } from './ovirt-backups.ts'
import { ovirtCheck } from './ovirt-check.ts'
import { ovirtClean } from './ovirt-clean.ts'
import { ovirtFilesCommands } from './ovirt-files.ts'
import { ovirtRecover } from './ovirt-recover.ts'
import { ovirtRestore } from './ovirt-restore.ts'
import { ovirtVms } from './ovirt-vms.ts'
import { rebase } from './rebase.ts'
import { resize } from './resize.ts'
import { restore } from './restore.ts'
import { settings } from './settings.ts'
import { open, seal } from './seal.ts'
import { serve } from './serve.ts'
import { show } from './show.ts'
import { simulateOvirt } from './simulate-ovirt.ts'
import { snapshots } from './snapshots.ts'
import { suites } from './suites.ts'
import { verify } from './verify.ts'
import { volumes } from './volumes.ts'

export const commands: readonly Command[] = [
  init,
  backup,
  snapshots,
  show,
  diff,
  restore,
  forget,
  gc,
  check,
  verify,
  copy,
  serve,
  volumes,
  ls,
  cat,
  extract,
  find,
  ...catalogCommands,
  map,
  info,
  measure,
  resize,
  rebase,
  commit,
  ovirtCheck,
  ovirtVms,
  ovirtBackup,
  ovirtBackups,
  ovirtRestore,
  ...ovirtFilesCommands,
  ovirtRecover,
  ovirtClean,
  simulateOvirt,
  ...keyCommands,
  ...clientCommands,
  seal,
  open,
  settings,
  suites,
  bench,
  completion,
]
