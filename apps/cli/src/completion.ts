/** Completion scripts for shells, made from the command table. @module */
import type { Command, OptionRow } from './command.ts'
import { COMMON_OPTIONS } from './common-options.ts'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

const flagOf = ({ flags }: OptionRow): string => /--[\w-]+/.exec(flags)?.[0] ?? ''

const takesValue = ({ flags }: OptionRow): boolean => flags.includes('<')

const optionsOf = (command: Command): readonly OptionRow[] => [...(command.options ?? []), ...COMMON_OPTIONS]

/** First words, and the commands that begin with them. */
const wordsOf = (commands: readonly Command[]): Map<string, Command[]> => {
  const words = new Map<string, Command[]>()
  for (const command of commands) {
    const [first = ''] = command.name.split(' ')
    words.set(first, [...(words.get(first) ?? []), command])
  }
  return words
}

/** What may follow the first word, each once. */
const furtherWords = (group: readonly Command[]): readonly string[] => [
  ...new Set(group.flatMap(command => command.name.split(' ').slice(1))),
]

/** The script that the shell loads. */
export const completionScript = (shell: Shell, commands: readonly Command[]): string => SCRIPTS[shell](commands)

const bashScript = (commands: readonly Command[]): string => {
  const words = wordsOf(commands)
  const cases = [...words].map(([word, group]) => {
    const flags = [...new Set(group.flatMap(command => optionsOf(command).map(flagOf)))].join(' ')
    const second = furtherWords(group).join(' ')
    return `    ${word}) words="${`${second} ${flags}`.trim()}" ;;`
  })
  const values = [
    ...new Map(commands.flatMap(command => optionsOf(command)).map(option => [flagOf(option), option])).values(),
  ]
    .filter(option => Array.isArray(option.values))
    .map(
      option =>
        `    ${flagOf(option)}) COMPREPLY=($(compgen -W "${(option.values as readonly string[]).join(' ')}" -- "$word")); return ;;`,
    )
  return `# bash completion for granary; load it with: source <(granary completion bash)
_granary() {
  local word="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words
  COMPREPLY=()
  case "$previous" in
${values.join('\n')}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${[...words.keys()].join(' ')}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -f -- "$word"))
}
complete -o filenames -F _granary granary
`
}

const quote = (text: string): string =>
  text.replaceAll("'", "''").replaceAll('[', '(').replaceAll(']', ')').replaceAll(':', ' -')

const zshScript = (commands: readonly Command[]): string => {
  const words = wordsOf(commands)
  const list = [...words].map(([word, group]) => `    '${word}:${quote((group[0] as Command).summary)}'`)
  const cases = [...words].map(([word, group]) => {
    const options = [
      ...new Map(group.flatMap(command => optionsOf(command)).map(option => [flagOf(option), option])).values(),
    ]
    const specs = options.map(option => {
      const value = takesValue(option)
        ? `:value:${Array.isArray(option.values) ? `(${option.values.join(' ')})` : '_files'}`
        : ''
      return `'${option.isRepeated === true ? '*' : ''}${flagOf(option)}[${quote(option.description)}]${value}'`
    })
    const second = furtherWords(group)
    const positional = second.length > 0 ? `'1:command:(${second.join(' ')})'` : "'*:file:_files'"
    return `    ${word}) _arguments ${[...specs, positional].join(' ')} ;;`
  })
  return `#compdef granary
_granary() {
  local -a commands
  commands=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
_granary "$@"
`
}

const fishScript = (commands: readonly Command[]): string => {
  const escape = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")
  const lines = ['# fish completion for granary', 'complete -c granary -n __fish_use_subcommand -f']
  for (const [word, group] of wordsOf(commands)) {
    lines.push(
      `complete -c granary -n __fish_use_subcommand -f -a ${word} -d '${escape((group[0] as Command).summary)}'`,
    )
    for (const second of furtherWords(group)) {
      lines.push(`complete -c granary -n '__fish_seen_subcommand_from ${word}' -f -a ${second}`)
    }
    const options = new Map(group.flatMap(command => optionsOf(command)).map(option => [flagOf(option), option]))
    for (const [flag, option] of options) {
      const values = Array.isArray(option.values)
        ? ` -x -a '${option.values.join(' ')}'`
        : takesValue(option)
          ? ' -r'
          : ''
      lines.push(
        `complete -c granary -n '__fish_seen_subcommand_from ${word}' -l ${flag.slice(2)}${values} -d '${escape(option.description)}'`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

const SCRIPTS: Record<Shell, (commands: readonly Command[]) => string> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
}
