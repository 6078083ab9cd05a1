import {
  Body,
  Button,
  Column,
  Container,
  Head,
  Heading,
  Hr,
  Html,
  Img,
  Link,
  Preview,
  Row,
  Section,
  Tailwind,
  Text,
} from '@react-email/components'

const theme = { theme: { extend: { colors: { brand: '#1f6f54', ink: '#1c2b26', paper: '#f4f7f5' } } } }
const LINKS = ['Documentation', 'Examples', 'Status', 'Support']

export const subject = ({ company }) => `Welcome to ${company}`

function Step({ number, title, text }) {
  return (
    <Row className="mb-5 sm:mb-3">
      <Column className="w-10 align-top">
        <Text className="m-0 size-7 rounded-full bg-brand text-center text-sm font-bold leading-7 text-white">
          {number}
        </Text>
      </Column>
      <Column className="align-top">
        <Text className="m-0 text-base font-semibold text-ink">{title}</Text>
        <Text className="m-0 text-sm leading-6 text-gray-600">{text}</Text>
      </Column>
    </Row>
  )
}

export default function Welcome({ name, company, url, steps }) {
  return (
    <Html lang="en">
      <Tailwind config={theme}>
        <Head />
        <Preview>Your account at {company} is ready.</Preview>
        <Body className="m-0 bg-paper py-8 font-sans">
          <Container className="mx-auto max-w-[600px] rounded-xl border border-solid border-gray-200 bg-white p-8 sm:p-4">
            <Img src={`${url}/logo.png`} width="120" height="36" alt={company} className="mb-6 block" />
            <Heading as="h1" className="m-0 mb-3 text-2xl font-bold tracking-tight text-ink">
              Welcome, {name}
            </Heading>
            <Text className="mt-0 mb-6 text-base leading-7 text-gray-700">
              Your account at {company} is ready. Three steps, and everyone in your team can begin.
            </Text>
            <Section className="mb-6 rounded-lg bg-paper p-5">
              {steps.map((step, index) => (
                <Step key={step.title} number={index + 1} {...step} />
              ))}
            </Section>
            <Section className="text-center">
              <Button
                href={url}
                className="rounded-md bg-brand px-6 py-3 text-base font-semibold text-white no-underline hover:bg-black"
              >
                Open your account
              </Button>
            </Section>
            <Hr className="my-6 w-full border-gray-200" />
            <Row>
              {LINKS.map((label) => (
                <Column key={label} className="text-center">
                  <Link href={`${url}/${label.toLowerCase()}`} className="text-xs text-brand underline">
                    {label}
                  </Link>
                </Column>
              ))}
            </Row>
            <Text className="mt-6 mb-0 text-center text-xs leading-5 text-gray-500">
              {company} sent this mail because you signed up. If it was not you, ignore it.
            </Text>
          </Container>
        </Body>
      </Tailwind>
    </Html>
  )
}
