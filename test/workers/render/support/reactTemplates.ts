/** A React Email template of the test, with the props that it is rendered with. */
interface ReactSample {
  source: string
  props: Record<string, unknown>
}

const ALL =
  'Body, Button, CodeBlock, CodeInline, Column, Container, Font, Head, Heading, Hr, Html, Img, Link, Markdown, Preview, Row, Section, Tailwind, Text, dracula'

/** Writes the module of a component whose parameter is `props`, with all components imported. */
function module(props: string, body: string, before = ''): string {
  return `import { ${ALL} } from '@react-email/components'
const base = process.env.ASSET_URL ? 'https://' + process.env.ASSET_URL : ''
${before}
export default (${props}) => (${body})`
}

/** The frame of most mails: Tailwind inside or around the document. */
const inside = (preview: string, body: string): string =>
  `<Html lang="en"><Head /><Tailwind config={theme}><Body className="m-0 bg-paper font-sans">${preview}<Container className="mx-auto max-w-[640px] px-4 py-8 sm:px-2">${body}</Container></Body></Tailwind></Html>`
const around = (preview: string, body: string): string =>
  `<Tailwind config={theme}><Html><Head><Fonts /></Head><Body className="m-0 bg-paper text-center font-sans">${preview}<Container className="mobile:mt-0 mx-auto mt-8 w-full max-w-[640px]">${body}</Container></Body></Html></Tailwind>`
const THEME = `const theme = { theme: { extend: { colors: { brand: '#2250f4', ink: '#202020', paper: '#f5f5f5' }, spacing: { 18: '72px' }, screens: { mobile: { max: '600px' } } } } }
const Fonts = () => <><Font fontFamily="Inter" fallbackFontFamily="Arial" webFont={{ url: 'https://acme.example/inter.woff2', format: 'woff2' }} fontWeight={400} fontStyle="normal" /><Font fontFamily="Inter" fallbackFontFamily={['Helvetica', 'Arial']} fontWeight={700} /></>
const Footer = ({ company }) => <Section className="px-6 py-10"><Row><Column className="text-center"><Link href="https://x.example/"><Img src={base + '/x.png'} alt="X" width={18} className="inline-block" /></Link></Column></Row><Text className="m-0 text-[11px] text-gray-500">1 Market Street<br />Tech City</Text><Text className="text-xs"><Link href="https://acme.example/u" className="text-gray-500">Unsubscribe</Link>{' '}from {company} mail.</Text></Section>`

const tailwind = (props: string, body: string, before = ''): string =>
  module(props, body, `${THEME}\n${before}`)

/**
 * Templates with the structure of the demos of React Email: which components they nest, which props they take, and what they do
 * with them. The texts are our own.
 */
export const REACT_TEMPLATES: Record<string, ReactSample> = {
  'a welcome with bullet cells': {
    source: tailwind(
      '{ company, url }',
      around(
        '<Preview>Welcome aboard—{company}</Preview>',
        '<Section className="rounded-[10px] bg-white p-5"><Img src={`${base}/hero.png`} alt="" width={600} className="block w-full" /><Heading as="h1" className="mt-0 mb-6 text-4xl text-ink">Welcome to {company}</Heading><Row className="text-left"><Cell /><Cell isLast /></Row><Button href={url} className="inline-block rounded-lg bg-ink px-7 py-4 text-white">Open dashboard</Button></Section><Footer company={company} />',
      ),
      'function Cell({ isLast }) { return <Column className={`mobile:!block w-1/2 pr-8 align-top${isLast ? "" : " mobile:mb-8"}`}><Text className="m-0">Bring your team together.</Text></Column> }',
    ),
    props: { company: 'Acme', url: 'https://acme.example/' },
  },
  'an activation with a link to copy': {
    source: tailwind(
      '{ company, url }',
      around(
        '<Preview>Confirm your address</Preview>',
        '<Text className="text-base">Confirm your address to use {company}.</Text><Button href={url} className="bg-brand px-5 py-3">Confirm</Button><Text>Or copy this link:<br /><Link href={url} className="break-all text-brand">{url}</Link></Text><Footer company={company} />',
      ),
    ),
    props: { company: 'Acme & Sons', url: 'https://acme.example/?a=1&b=2' },
  },
  'a password reset without Tailwind': {
    source: module(
      '{ name, url }',
      '<Html><Head /><Preview>Reset your password</Preview><Body style={main}><Container style={box}><Img src={`${base}/box.png`} width="40" height="33" alt="Box" /><Section><Text style={text}>Hi {name},</Text><Button style={button} href={url}>Reset password</Button><Text style={text}>Don&apos;t forward this mail. See our <Link style={anchor} href="https://box.example/help">help center</Link>.</Text></Section></Container></Body></Html>',
      `const main = { backgroundColor: '#f6f9fc', padding: '10px 0' }
const box = { backgroundColor: '#fff', border: '1px solid #f0f0f0', padding: '45px' }
const text = { fontSize: '16px', fontFamily: "'Open Sans', Arial", lineHeight: '26px' }
const button = { ...text, display: 'block', width: '210px', padding: '14px 7px', background: '#007ee6', color: '#fff' }
const anchor = { textDecoration: 'underline' }`,
    ),
    props: { name: 'Ada', url: 'https://box.example/reset' },
  },
  'an announcement with a list of its own': {
    source: tailwind(
      '{ company, url }',
      inside(
        '<Preview>New at {company}</Preview>',
        '{features.map((feature, index) => <Section key={feature.title} className={index === 0 ? "mt-0" : "mt-8"}><Heading as="h2" className="text-xl">{feature.title}</Heading><Text className="text-gray-600">{feature.text} {brand(company)}</Text></Section>)}<Button href={url} className="bg-brand p-3">Try it</Button>',
      ),
      `const features = [{ title: 'Smart tasks', text: 'Tasks that know' }, { title: 'Boards', text: 'Boards of' }]
const brand = (name) => \`by \${name}\``,
    ),
    props: { company: 'Acme', url: 'https://acme.example/' },
  },
  'a product update with alternating images': {
    source: tailwind(
      '{ company }',
      around(
        '<Preview>What is new</Preview>',
        '{[1, 2, 3].map((n) => <Row key={n} className="mb-10">{n % 2 === 1 && <Column className="w-1/2"><Img src={`${base}/${n}.png`} width={280} alt="" /></Column>}<Column className="w-1/2 align-top"><Text className="m-0">{company} part {n}</Text></Column>{n % 2 === 0 ? <Column className="w-1/2"><Img src={`${base}/${n}.png`} width={280} alt="" /></Column> : null}</Row>)}',
      ),
    ),
    props: { company: 'Acme' },
  },
  'a subscription with many texts': {
    source: tailwind(
      '{ company, user, plan, price, cycle, next, url }',
      around(
        '<Preview>You&apos;re subscribed to {company} {plan}</Preview>',
        '<Text className="text-base">Hi {user},<br /><br />Thank you for subscribing to {company} {plan}.</Text><Text>You pay {price} per {cycle}, next on {next}.</Text><Section><Row><Column align="left">{plan}</Column><Column align="right">{price}</Column></Row><Hr className="my-4 border-gray-300" /></Section><Button href={url}>Manage</Button><Footer company={company} />',
      ),
    ),
    props: {
      company: 'Acme',
      user: 'Ada <Lovelace>',
      plan: 'Pro',
      price: '$9',
      cycle: 'month',
      next: 'May 1',
      url: '#',
    },
  },
  'a text of paragraphs': {
    source: tailwind(
      '{ company, paragraphs }',
      inside(
        '<Preview>A note from {company}</Preview>',
        '{paragraphs.map((text, index) => <Text key={index} className="text-base leading-7">{text}</Text>)}<Text>— {company}</Text>',
      ),
    ),
    props: { company: 'Acme', paragraphs: ['One.', 'Two & three.', ''] },
  },
  'a verification code': {
    source: tailwind(
      '{ code }',
      inside(
        '<Preview>Your code</Preview>',
        '<Section className="flex items-center justify-center bg-[#252f3d] py-5"><Img src={`${base}/logo.png`} width="75" height="45" alt="Logo" /></Section><Section className="px-9 py-6"><Heading className="mb-4 text-xl font-bold">Verify</Heading><Text className="my-2 text-center text-4xl font-bold">{code}</Text><Text className="m-0">(valid for 10 minutes)</Text></Section><Hr />',
      ),
    ),
    props: { code: '596853' },
  },
  'a code inline': {
    source: tailwind(
      '{ code }',
      inside(
        '<Preview>Log in with this code</Preview>',
        '<code className="rounded bg-[#dfe1e4] px-1 font-mono text-xl tracking-tight">{code}</code><Text>or <CodeInline>login {code}</CodeInline></Text>',
      ),
    ),
    props: { code: 'tt226-5398x' },
  },
  'a magic link on a picture': {
    source: tailwind(
      '{ link }',
      inside(
        '<Preview>Log in with this magic link.</Preview>',
        `<Section style={{ backgroundImage: 'url("/bg.png")', backgroundPosition: 'bottom', backgroundRepeat: 'no-repeat, no-repeat' }}><Heading className="mt-12 text-[28px]">🪄 Your magic link</Heading><Text><Link className="text-[#ff6363]" href={link}>👉 Click here 👈</Link></Text></Section>`,
      ),
    ),
    props: { link: 'https://ray.example/x?y=z' },
  },
  'a confirmation with social icons': {
    source: tailwind(
      '{ code }',
      inside(
        '<Preview>Confirm</Preview>',
        '<Section className="my-8 rounded bg-[#f5f4f5] px-3 py-10"><Text className="text-center text-3xl">{code}</Text></Section><Row className="mb-8 px-2"><Column className="w-2/3"><Img src={`${base}/l.png`} width="120" height="36" alt="L" /></Column><Column align="right">{["a", "b", "c"].map((site) => <Link key={site} href={`https://${site}.example`}><Img className="ml-8 inline" src={`${base}/${site}.png`} width="32" height="32" alt={site} /></Link>)}</Column></Row><div><Link className="underline" href="/b">Blog</Link>&nbsp;&nbsp;|&nbsp;&nbsp;<Link href="/p">Policies</Link></div>',
      ),
    ),
    props: { code: 'DJZ-TLX' },
  },
  'a newsletter without props': {
    source: tailwind(
      '',
      inside(
        '<Preview>#Challenge: Cubes</Preview>',
        '<Section className="w-full bg-[#191919] pb-8"><Img className="mx-auto max-w-full" src={`${base}/c.png`} width={620} alt="C" /></Section><Text className="bg-[#f5d247] p-8 text-sm leading-5"><strong>This week:</strong> <Text className="m-0 text-2xl">The shape is 1:1</Text></Text><Row><Column className="align-top md:w-1/2"><ul><li className="mb-5">One</li><li>Two</li></ul></Column></Row>',
      ),
    ),
    props: {},
  },
  'tips with a key': {
    source: tailwind(
      '{ tips }',
      inside(
        '<Preview>Tips for this week</Preview>',
        '<Section className="flex bg-[#f3f3f5] p-5"><Row><Column className="bg-ink text-white"><Heading as="h2" className="text-[27px]">Find your answers</Heading></Column></Row></Section><ul>{tips.map((tip) => <li key={tip.id}><Text className="text-sm">{tip.text}</Text></li>)}</ul><Hr className="my-8" />',
      ),
    ),
    props: {
      tips: [
        { id: 1, text: 'Search first' },
        { id: 2, text: 'Use <tags>' },
      ],
    },
  },
  'a notice for a user': {
    source: tailwind(
      '{ username }',
      inside(
        '<Preview>A personal access token was added to your account</Preview>',
        '<Text className="text-2xl"><strong>@{username}</strong>, a token was created.</Text><Section className="border border-solid border-[#dedede] p-6"><Text className="mb-2 text-left">Hey <strong>{username}</strong>!</Text><Button className="rounded bg-[#28a745] p-3 text-white">View</Button></Section>',
      ),
    ),
    props: { username: 'ada' },
  },
  'a year in numbers': {
    source: tailwind(
      '{ year, minutes, views, month, percentile, places }',
      inside(
        '<Preview>See your year</Preview>',
        '<Text className="uppercase tracking-wider">{year} in review</Text><Section className="my-6 rounded-2xl bg-[#fb7a00]/10 bg-[radial-gradient(circle_at_bottom_right,#fb7a00_0%,transparent_60%)] p-8"><Text className="text-7xl">{minutes}</Text><Row className="mt-5"><Column className="w-1/3"><Text>{views} views</Text></Column><Column>&quot;{month}&quot;</Column></Row><Text>{percentile}%</Text></Section>{places.map((place, index) => <Text key={index} className="rounded-full bg-[#10b981] px-3" style={{ margin: "4px 4px", display: "inline-block" }}>{place}</Text>)}',
      ),
    ),
    props: { year: 2026, minutes: 1234, views: 0, month: 'May', percentile: 95, places: ['Rome', 'Oslo'] },
  },
  'an invitation to a team': {
    source: module(
      '{ username, userImage, by, email, team, link, ip }',
      '<Html><Head /><Preview>{`Join ${by} on Acme`}</Preview><Tailwind><Body className="m-auto bg-white px-2 font-sans"><Container className="mx-auto my-10 max-w-[465px] rounded border border-[#eaeaea] border-solid p-5"><Heading className="text-center text-[24px]">Join <strong>{team}</strong> on <strong>Acme</strong></Heading><Text>Hello {username},</Text><Text><strong>{by}</strong> (<Link href={`mailto:${email}`} className="text-blue-600 no-underline">{email}</Link>) invited you.</Text><Row><Column align="right"><Img className="rounded-full" src={userImage} width="64" height="64" alt={`${username}’s picture`} /></Column></Row><Button className="rounded bg-[#000000] px-5 py-3 text-[12px]" href={link}>Join</Button><Text>copy: <Link href={link}>{link}</Link></Text><Text className="text-[#666666]">Sent from <span className="text-black">{ip}</span>.</Text></Container></Body></Tailwind></Html>',
    ),
    props: {
      username: "O'Neil",
      userImage: 'https://a.example/u.png',
      by: 'Ada',
      email: 'ada@acme.example',
      team: 'Blue',
      link: 'https://acme.example/i',
      ip: '192.0.2.1',
    },
  },
  'a login with a date': {
    source: tailwind(
      '{ name, date, place, locale }',
      inside(
        '<Preview>Recent login</Preview>',
        '<Heading as="h2">Hi {name},</Heading><Text><b>Time: </b>{new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "short", timeZone: "UTC" }).format(new Date(date))}</Text><Text style={{ marginTop: -5 }}><b>Place: </b>{place}</Text>',
      ),
    ),
    props: { name: 'Ada', date: '2026-09-07T10:58:00Z', place: 'Oslo', locale: 'de' },
  },
  'a receipt with totals': {
    source: tailwind(
      '{ items, locale }',
      inside(
        '<Preview>Your receipt</Preview>',
        '<Section className="rounded bg-[rgb(250,250,250)] text-xs"><Row className="h-[46px]"><Column colSpan={2}><Section>{items.map((item) => <Row key={item.label}><Column className="w-16"><Img src={`${base}/${item.image}`} width="64" height="64" alt={item.label} /></Column><Column className="pl-6"><Text className="m-0 font-semibold">{item.label}</Text></Column><Column align="right">{money(item.price, locale)}</Column></Row>)}</Section></Column></Row></Section><Hr /><Section align="right"><Row><Column className="table-cell" align="right">Total {money(items.reduce((sum, { price }) => sum + price, 0), locale)}</Column></Row></Section>',
      ),
      'const money = (value, locale) => new Intl.NumberFormat(locale, { style: "currency", currency: "EUR" }).format(value)',
    ),
    props: {
      locale: 'de',
      items: [
        { label: 'Pen', image: 'p.png', price: 2.5 },
        { label: 'Ink "blue"', image: 'i.png', price: 1200 },
      ],
    },
  },
  'a quote in a review': {
    source: tailwind(
      '{ author, image, review }',
      inside(
        '<Preview>{preview(author)}</Preview>',
        `<Img className="mx-auto rounded-full" src={image} width="96" height="96" alt={author} /><Heading>Here is what {author} wrote</Heading><Text className="rounded bg-[#f2f3f3] p-6">{review}</Text><Text className="pb-4">Now that the review period ended, we posted {author}’s review.</Text><Link href="/r">read</Link>`,
      ),
      "const preview = (author) => `Read ${author}'s review`",
    ),
    props: { author: 'Alex', image: 'https://a.example/a.jpg', review: '“Great\nstay”' },
  },
  'stars and icons from lists': {
    source: tailwind(
      '{ title, stars, icons }',
      inside(
        '<Preview>{title}</Preview>',
        '<Row>{stars.map((star, index) => <Column key={index} className="px-1"><Link href="/rate"><Img src={star} width={36} alt="Star" /></Link></Column>)}</Row><table><tbody><tr>{icons.map((src, index) => <td key={index} className="pr-2"><Img src={src} alt="" width={20} /></td>)}</tr></tbody></table>',
      ),
    ),
    props: { title: 'Your opinion', stars: ['/s.gif', '/s.gif'], icons: [] },
  },
  'steps with optional parts': {
    source: tailwind(
      '{ steps, links }',
      inside(
        '<Preview>Welcome</Preview>',
        '<ul>{steps?.map(({ id, text, href }) => <li className="mb-5" key={id}><strong>{text}</strong>{href ? <> <Link href={href}>more</Link></> : null}</li>)}</ul><Row>{links?.map((link) => <Column key={link.title}><Link className="font-bold text-black" href={link.href}>{link.title}</Link> <span className="text-green-500">→</span></Column>)}</Row>',
      ),
    ),
    props: {
      steps: [
        { id: 1, text: 'Deploy', href: 'https://a.example/d' },
        { id: 2, text: 'Check' },
      ],
      links: [{ title: 'Docs', href: 'https://a.example/docs' }],
    },
  },
  'an order that is shipping': {
    source: tailwind(
      '{ company, stage, order }',
      around(
        '<Preview>Your {company} order {order} has shipped</Preview>',
        '<Row>{STAGES.map((label, index) => <Column key={label} className={index <= stage ? "bg-brand text-white" : "bg-gray-200"}>{label}{index === stage && " (now)"}</Column>)}</Row><Text>{stage >= 2 ? "It has arrived." : `It is on its way: ${STAGES[stage]}.`}</Text>',
      ),
      "const STAGES = ['Packed', 'Shipped', 'Delivered']",
    ),
    props: { company: 'Acme', stage: 1, order: '#12345' },
  },
  'a promotion for members': {
    source: tailwind(
      '{ company, plan, code }',
      around(
        '<Preview>20% off</Preview>',
        '<Section className="bg-ink px-2 py-4">{plan === "pro" ? <Text className="text-white">For members: {code}</Text> : <Text className="text-white">Join {company} for {code}</Text>}</Section>',
      ),
    ),
    props: { company: 'Acme', plan: 'pro', code: 'SAVE20' },
  },
  'a block of code': {
    source: module(
      '{ code }',
      '<Html><Head /><Body><CodeBlock code={code} language="javascript" theme={dracula} lineNumbers fontFamily="monospace" /></Body></Html>',
    ),
    props: { code: 'const a = 1\nexport default () => `<b>${a}</b>`' },
  },
  'a text in Markdown': {
    source: module(
      '{ text }',
      '<Html><Body><Markdown markdownCustomStyles={{ h1: { color: "red" }, codeInline: { background: "grey" } }} markdownContainerStyles={{ padding: "12px" }}>{text}</Markdown></Body></Html>',
    ),
    props: { text: '# Hello\n\n- one\n- **two**\n\n[link](https://a.example) `x`' },
  },
  'hooks, context, and an asynchronous component': {
    source: module(
      '{ name }',
      '<Html><Head /><Body><Name.Provider value={name}><Inner /></Name.Provider><Later name={name} /></Body></Html>',
      `import { createContext, useContext, useId, useMemo } from 'react'
const Name = createContext('')
function Inner() { const name = useContext(Name); const id = useId(); return <p id={id}>{useMemo(() => name.toUpperCase(), [name])}</p> }
async function Later({ name }) { await new Promise((resolve) => setTimeout(resolve, 1)); return <p>later {name}</p> }`,
    ),
    props: { name: 'Ada' },
  },
}
