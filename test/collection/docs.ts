/** The pages of the words: what they tell of each node is what its dialog and its help tell. */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ConfigSpec, Fields } from '../../nodes/shared/config'
import { all, Collection, type Place, type Rule } from './files'

const command = 'npm run docs'
const [begin, end] = [`<!-- made by \`${command}\`, of dialogs and help -->`, '<!-- until here -->']
const sections = ['Recipes', 'What fails, and what to do', 'Nodes']

const pageOf = (word: string) => `docs/${word}.md`

/** Each word has a page; it has its parts, says of its nodes what these say, and its links lead somewhere. */
export const docs: Rule = (collection) =>
  collection.words().flatMap((word) => {
    const page = pageOf(word)
    const text = collection.read(page)
    if (!text) return [`${page} is missing`]
    const headings = all(text, /^## (.*)$/gm)
    const links = all(text, /\]\((?!\w+:|#)([^)#]+)/g)
    return [
      ...sections.filter((section) => !headings.includes(section)).map((section) => `${page} has no ${section}`),
      ...links.filter((link) => !collection.has(join('docs', link))).map((link) => `${page} leads to ${link}`),
      ...(filled(collection, word) === text ? [] : [`${page} is not what the help tells: ${command}`]),
    ]
  })

/** The page of a word with what its nodes say of themselves. */
function filled(collection: Collection, word: string): string {
  const [before = '', rest = ''] = collection.read(pageOf(word)).split(`${begin}\n`)
  const [, after = ''] = rest.split(`${end}\n`)
  const order = Object.keys(collection.registered())
  const places = collection.places().filter((place) => place.word === word)
  const place = (one: Place) => order.indexOf(collection.typeOf(one))
  const parts = places.sort((one, other) => place(one) - place(other)).map((place) => nodeOf(collection, place))
  return `${before}${begin}\n\n${parts.join('\n')}\n${end}\n${after}`
}

function nodeOf(collection: Collection, place: Place): string {
  const help = collection.read(`nodes/${place.word}/locales/en-US/${place.name}.html`)
  const [lead = '', ...parts] = help.replace(/<\/?script[^>]*>\n/g, '').split(/<h3>(?=.*<\/h3>)/)
  const told = parts.map((part) => {
    const [, title = '', body = ''] = /^(.*?)<\/h3>\s*([\s\S]*)$/.exec(part) ?? []
    return `**${title}**\n\n${blocks(body)}`
  })
  const [inputs, others] = [told.filter(isInput), told.filter((part) => !isInput(part))]
  const options = `**Options**\n\n${optionsOf(collection, place)}`
  return [`### ${collection.typeOf(place)}\n`, blocks(lead), options, ...inputs, ...others].join('\n')
}

const isInput = (part: string) => part.startsWith('**Inputs**')

/** What the dialog asks for, in its order. */
function optionsOf(collection: Collection, place: Place): string {
  const form = collection.form(place)
  const texts = collection.catalogue(place, 'en-US')
  const { fields, credentials = {} } = configOf(collection, place)
  const inputs = new RegExp(`<(\\w+)[^>]* id="(?:node-(?:config-)?input|millrace-${place.word})-([^"]+)"[^>]*>`, 'g')
  const rows = [...form.matchAll(inputs)].flatMap(([tag = '', kind, name = '']) => {
    const isSecret = Object.hasOwn(credentials, name)
    if (!isSecret && !Object.hasOwn(fields, name)) return []
    if (name === 'name' || /type="hidden"/.test(tag)) return []
    const at = form.indexOf(tag)
    const label = texts.get(labelOf(form, name, at)) ?? ''
    const values =
      kind === 'select' ? choices(form.slice(at, form.indexOf('</select>', at)), texts) : unit(form, at, tag)
    const value = isSecret ? 'kept apart, as a credential' : defaultOf(fields, name)
    return [`| ${cell(label)} | \`${name}\` | ${cell(values)} | ${cell(value)} |`]
  })
  return `${['| in the dialog | saved as | values | default |', '|---|---|---|---|', ...rows].join('\n')}\n`
}

function configOf({ root }: Collection, { path }: Place): ConfigSpec<Fields> {
  const exported = Object.values(require(join(root, `${path}.config.ts`)) as Record<string, ConfigSpec<Fields>>)
  return exported.find((one) => one?.fields) as ConfigSpec<Fields>
}

/** The key of the label of an input: it names the input, or stands before it. */
function labelOf(form: string, name: string, at: number): string {
  const own = new RegExp(`<label[^>]* for="node-(?:config-)?input-${name}"[^>]*>.*?data-i18n="([^"]+)"`).exec(form)
  const row = form.slice(form.lastIndexOf('<div class="form-row', at))
  return own?.[1] ?? /<label[^>]*>.*?data-i18n="([^"[]+)"/s.exec(row)?.[1] ?? ''
}

function choices(select: string, texts: Map<string, string>): string {
  const options = [...select.matchAll(/<option value="([^"]*)"(?: data-i18n="([^"]+)")?>([^<]*)/g)]
  return options
    .map(([, value = '', key, text]) => {
      const shown = key ? texts.get(key) : text
      return shown === value ? `\`${value}\`` : `\`${value}\` ${shown}`
    })
    .join('; ')
}

function unit(form: string, at: number, tag: string): string {
  if (/type="checkbox"/.test(tag)) return 'yes, no'
  return /^[^>]*>\s*<span>([^<]+)<\/span>/.exec(form.slice(at))?.[1] ?? ''
}

function defaultOf(fields: Fields, name: string): string {
  const { value, type } = fields[name] ?? {}
  const kind = fields[`${name}Type`]?.value
  if (type) return `a ${type} node`
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (Array.isArray(value)) return value.length ? `\`${JSON.stringify(value)}\`` : ''
  const text = String(value ?? '')
  if (kind === 'msg') return `\`msg.${text}\``
  if (kind === 'date') return 'now'
  if (text.includes('\n')) return 'an example'
  return text && `\`${text}\``
}

/** Paragraphs, lists and tables of a help in Markdown. */
function blocks(html: string): string {
  const ports = /<ol class="node-ports">([\s\S]*?)<\/ol>/.exec(html)?.[1]
  if (ports !== undefined) {
    const outputs = ports.split(/^ {4}<li>/m).slice(1)
    return outputs
      .map((output, place) => {
        const [title = ''] = output.split('<dl')
        return `${place + 1}. ${inline(title.replace('</li>', '').trim())}\n\n${blocks(output.slice(title.length))}`
      })
      .join('\n')
  }
  const parts = html.matchAll(
    /<p>([\s\S]*?)<\/p>|<dl class="message-properties">([\s\S]*?)<\/dl>|<li>([\s\S]*?)<\/li>/g,
  )
  return [...parts]
    .map(([, paragraph, properties, item]) => {
      if (paragraph !== undefined) return `${inline(paragraph)}\n`
      return properties === undefined ? `- ${inline(item ?? '')}` : table(properties)
    })
    .join('\n')
    .replace(/([^\n])$/, '$1\n')
}

function table(properties: string): string {
  const form =
    /<dt( class="optional")?>([\s\S]*?)<span class="property-type">(.*?)<\/span><\/dt>\s*<dd>([\s\S]*?)<\/dd>/g
  const rows = [...properties.matchAll(form)].map(([, optional, name = '', type = '', text = '']) => {
    const kind = `${inline(type)}${optional ? ', optional' : ''}`
    return `| \`msg.${name.trim()}\` | ${cell(kind)} | ${cell(inline(text))} |`
  })
  return `${['| property | kind | |', '|---|---|---|', ...rows].join('\n')}\n`
}

const marks: [RegExp, string][] = [
  [/<\/?code>/g, '`'],
  [/<\/?b>/g, '**'],
  [/<\/?i>/g, '*'],
  [/<a href="([^"]+)">(.*?)<\/a>/g, '[$2]($1)'],
  [/\s+/g, ' '],
]
const entities: [RegExp, string][] = [
  [/&lt;/g, '<'],
  [/&gt;/g, '>'],
  [/&quot;/g, '"'],
  [/&amp;/g, '&'],
]

function inline(html: string): string {
  const marked = marks.reduce((text, [from, to]) => text.replace(from, to), html)
  // What stands within back quotes is shown as it is written.
  const parts = marked.split('`')
  return parts
    .map((part, place) => (place % 2 ? entities.reduce((text, [from, to]) => text.replace(from, to), part) : part))
    .join('`')
    .trim()
}

const cell = (text: string) => text.replaceAll('|', '\\|')

if (require.main === module) {
  const collection = new Collection(join(dirname(__dirname), '..'))
  for (const word of collection.words()) {
    writeFileSync(join(collection.root, pageOf(word)), filled(collection, word))
  }
}
