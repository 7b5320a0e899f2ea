/** The command line: the command table goes to commander, and errors become exit codes. @module */
import { Command as Program, CommanderError } from 'commander'
import { GranaryError, fromSystemError, isGranaryError } from '@granary/core'
import { loadCommands } from './commands/index.ts'
import type { Command, OptionRow, OptionValues } from './command.ts'
import { COMMON_OPTIONS } from './common-options.ts'
import { EXIT_CODES, EXIT_FAILED, EXIT_OK } from './exit-codes.ts'
import { Terminal } from './terminal/terminal.ts'
import type { TerminalStreams } from './terminal/terminal.ts'
import { VERSION } from './version.ts'

/** As a shell reports a program that SIGPIPE ended. */
const EXIT_CLOSED_OUTPUT = 141

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** Runs one command line and gives back the exit code. Ctrl-C ends the work in order; a second one ends it at once. */
export const main = async (argv: readonly string[], streams: TerminalStreams = process): Promise<number> => {
  const controller = new AbortController()
  let interrupted: number | undefined
  const onSignal = (signal: NodeJS.Signals): void => {
    if (interrupted !== undefined) process.exit(interrupted)
    interrupted = SIGNALS[signal as keyof typeof SIGNALS]
    controller.abort(new GranaryError('GRANARY_ABORTED', `interrupted by ${signal}`))
  }
  for (const signal of Object.keys(SIGNALS)) process.on(signal, onSignal)
  const onClosedOutput = (error: Error): void => {
    interrupted ??= EXIT_CLOSED_OUTPUT // Whoever read our output has seen enough.
    controller.abort(error)
  }
  streams.stdout.on('error', onClosedOutput)
  let exitCode: number = EXIT_OK
  let isService = false
  let terminal = new Terminal(streams, { isJson: argv.includes('--json'), showsProgress: false })
  const commands = await loadCommands(argv[0])
  const program = createProgram(streams, commands, async (command, given, options) => {
    terminal = new Terminal(streams, { isJson: options['json'] === true, showsProgress: options['progress'] !== false })
    isService = command.isService === true
    exitCode = await command.run({ arguments: given, options, terminal, signal: controller.signal })
  })
  try {
    await program.parseAsync(separateValues(argv, commands), { from: 'user' })
    return isService ? exitCode : (interrupted ?? exitCode)
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT_OK
    if (interrupted === EXIT_CLOSED_OUTPUT) return interrupted
    const failure = interrupted === undefined ? failureOf(error) : controller.signal.reason
    terminal.fail(failure)
    return interrupted ?? (isGranaryError(failure) ? EXIT_CODES[failure.code] : EXIT_FAILED)
  } finally {
    for (const signal of Object.keys(SIGNALS)) process.off(signal, onSignal)
  }
}

/** What a command line or a call failed with, in our terms; a bug stays what it is. */
const failureOf = (error: unknown): unknown => {
  if (!(error instanceof CommanderError)) return fromSystemError(error, 'granary')
  const [first = '', ...more] = error.message.replace(/^error: /, '').split('\n')
  const isUnsaid = error.code === 'commander.help' || first === '(outputHelp)'
  return new GranaryError('GRANARY_INVALID_ARGUMENT', isUnsaid ? 'no command was given' : first, {
    hint: more.join(' ').trim() || '`granary --help` shows the commands, `granary COMMAND --help` what one takes',
  })
}

/** Options whose value may be left out take it after `=` only: the next word is an argument, as in `granary check --read-data REPO`. */
const separateValues = (argv: readonly string[], commands: readonly Command[]): string[] => {
  const options = commands.flatMap(command => command.options ?? [])
  const optionalValues = new Set(options.flatMap(({ flags }) => /^(--\S+) \[/.exec(flags)?.[1] ?? []))
  const end = argv.indexOf('--')
  return argv.map((word, i) => (optionalValues.has(word) && (end < 0 || i < end) ? `${word}=` : word))
}

/** What commands of several words are about, where that is not their last but one. */
const GROUPS: Readonly<Record<string, string>> = {
  ovirt: 'machines of oVirt-family platforms',
  'ovirt files': 'files in CD drives of machines',
}

type Run = (
  command: Command,
  given: readonly (string | readonly string[] | undefined)[],
  options: OptionValues,
) => Promise<void>

const createProgram = (streams: TerminalStreams, commands: readonly Command[], run: Run): Program => {
  const program = new Program('granary')
    .description('Backs up disks of virtual machines into a deduplicating, encrypted repository, and gives them back.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      writeOut: text => streams.stdout.write(text),
      writeErr: text => streams.stderr.write(text),
      outputError: () => undefined, // Told by `main`, with a code.
    })
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      '\nFirst steps:\n  granary init /backup/repo --key-file /root/granary.key\n  granary backup /vm/disk.qcow2 --repo /backup/repo --key-file /root/granary.key\n  granary restore latest raw:/vm/disk.raw --repo /backup/repo --key-file /root/granary.key',
    )
  const groups = new Map<string, Program>()
  for (const command of commands) addCommand(program, groups, command, run)
  return program
}

const addCommand = (program: Program, groups: Map<string, Program>, command: Command, run: Run): void => {
  const words = command.name.split(' ')
  let parent = program
  for (let i = 1; i < words.length; i++) {
    const name = words.slice(0, i).join(' ')
    const word = words[i - 1] as string
    const known = groups.get(name)
    parent = known ?? parent.command(word).description(GROUPS[name] ?? `commands about ${word}s`)
    groups.set(name, parent)
  }
  const entry = parent.command(words.at(-1) as string).description(command.summary)
  for (const { name, description } of command.arguments ?? []) entry.argument(name, description)
  for (const option of [...(command.options ?? []), ...COMMON_OPTIONS]) addOption(entry, option)
  if (command.examples !== undefined)
    entry.addHelpText('after', `\nExamples:\n${command.examples.map(example => `  ${example}`).join('\n')}`)
  entry.action(async (...values: unknown[]) => {
    const given = values.slice(0, command.arguments?.length ?? 0) as (string | readonly string[] | undefined)[]
    await run(command, given, entry.opts<OptionValues>())
  })
}

const addOption = (entry: Program, { flags, description, isRepeated }: OptionRow): void => {
  if (isRepeated === true)
    entry.option(flags, description, (value: string, before: readonly string[] | undefined) => [
      ...(before ?? []),
      value,
    ])
  else entry.option(flags, description)
}
