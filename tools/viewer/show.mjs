// Opens an exam in OHIF as a radiologist does and compares what the page shows with the case report:
// show.mjs ARCHIVE REPORT PICTURES, the HTTP port of an Orthanc, the report as JSON, the folder of the screenshots.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { drawnSegments, shownImage } from './page.mjs';
import { serve } from './serve.mjs';

const INSTALLED = path.resolve('build/viewer');
/** Series Number (0020,0011) of each kind of object. */
const SERIES = { pictures: 9001, segmentation: 9002, structuredReport: 9003 };
/** As many lesions have segments of their own. */
const LARGEST = 20;
const CHROMIUM = [
  '--no-sandbox --disable-gpu-sandbox --disable-dev-shm-usage --use-gl=angle --use-angle=swiftshader',
  '--enable-unsafe-swiftshader --disable-quic --no-first-run --disable-background-networking',
  '--disable-component-update --disable-sync',
].flatMap((line) => line.split(' '));

const [archive, reportFile, pictures] = process.argv.slice(2);
const report = JSON.parse(readFileSync(reportFile, 'utf8'));
const { chromium, selectors } = createRequire(import.meta.url)(`${INSTALLED}/playwright-core`);
let failed = 0;

function check(holds, what) {
  console.log(`${holds ? 'ok    ' : 'FAILED'} ${what}`);
  failed += holds ? 0 : 1;
}

/** The image on screen, once it is an expected one. */
async function shown(page, what, isExpected) {
  for (const start = Date.now(); Date.now() - start < 180_000; await page.waitForTimeout(200)) {
    const image = await page.evaluate(shownImage);
    if (image?.bright > 0 && isExpected(image)) {
      return image;
    }
  }
  throw new Error(`OHIF shows no ${what}`);
}

async function photograph(page, name) {
  // What is still being drawn.
  await page.waitForTimeout(2000);
  await page.screenshot({ path: path.join(pictures, `${name}.png`) });
}

async function openSeries(page, number) {
  await page.locator(`[data-series="${number}"]`).dblclick();
}

async function checkSegmentation(page) {
  const lesions = report.lesions.slice(0, LARGEST);
  const names = ['Right lung', 'Left lung', ...lesions.map((_, place) => `Lesion ${place + 1}`)];
  const expected = report.lesions.length > LARGEST ? [...names, 'Other lesions'] : names;

  await openSeries(page, SERIES.segmentation);
  await page.getByTestId('yes-hydrate-btn').click();
  await page.getByTestId('panelSegmentation-btn').click();
  await page.getByTestId('data-row').first().waitFor();
  const titles = await page.getByTestId('data-row-title').allInnerTexts();
  check(String(titles) === String(expected), `${titles.length} segments: ${titles.join(', ')}`);

  const drawn = new Map(await page.evaluate(drawnSegments));
  lesions.forEach((lesion, place) => checkLesion(`Lesion ${place + 1}`, lesion, drawn));
  const drawnMl = [...drawn].reduce((ml, [label, segment]) => (/lesion/i.test(label) ? ml + segment.ml : ml), 0);
  const { volume_ml: ml } = report.lesion_summary;
  check(Math.abs(drawnMl - ml) <= 0.02 * ml, `all lesions: ${drawnMl.toFixed(1)} ml, reported ${ml.toFixed(1)} ml`);
}

function checkLesion(label, lesion, drawn) {
  const segment = drawn.get(label);
  if (!segment) {
    return;
  }
  const apart = Math.hypot(...lesion.centre_mm.map((at, axis) => at - segment.centre[axis]));
  // The report counts slabs, the segmentation slices: the fewer of them, the less they agree.
  const tolerance = lesion.volume_ml < 1 ? 0.5 : 0.1;
  const holds = apart < 3 && Math.abs(segment.ml - lesion.volume_ml) <= tolerance * lesion.volume_ml;
  const [shows, reports] = [segment.ml, lesion.volume_ml].map((ml) => ml.toFixed(2));
  check(holds, `${label}: ${shows} ml, reported ${reports} ml, centres ${apart.toFixed(1)} mm apart`);
}

/** Goes to the largest lesion as the segmentation panel does, in the lung window. */
async function checkLargestLesion(page) {
  await page.keyboard.press('2');
  const [lesion] = report.lesions;
  if (!lesion) {
    return;
  }
  await page.getByTestId('data-row').filter({ hasText: /Lesion 1\b/ }).click();
  const [lowest, highest] = lesion.z_mm;
  // By the height of a slab.
  const holds = ({ position }) => position?.[2] > lowest - 5 && position[2] < highest + 5;
  const isExpected = (image) => holds(image) && image.coloured > 0.01;
  const { position } = await shown(page, 'slice of the largest lesion in colour', isExpected);
  const [at, from, to] = [position[2], lowest, highest].map((height) => height.toFixed(0));
  check(true, `the slice at ${at} mm of the largest lesion, from ${from} to ${to} mm, in colour`);
}

async function checkPictures(page, judged) {
  await openSeries(page, SERIES.pictures);
  const image = await shown(page, 'Secondary Capture', ({ series }) => series !== judged);
  check(image.images > 0, `${image.images} pictures in the series of Secondary Captures`);
}

/** OHIF lists a structured report and shows of it what has coordinates on images: of ours nothing. */
async function checkStructuredReport(page) {
  const listed = await page.locator(`[data-series="${SERIES.structuredReport}"]`).count();
  check(listed === 1, 'the structured report is listed');
}

/** What OHIF and the archive complain of, to be read by a person. */
function listen(page) {
  const complaints = new Set();
  page.on('console', (line) => /error|warning/.test(line.type()) && complaints.add(line.text()));
  page.on('pageerror', (error) => complaints.add(String(error)));
  page.on('response', (answer) => answer.status() >= 400 && complaints.add(`${answer.status()} ${answer.url()}`));
  return complaints;
}

const address = await serve({ files: `${INSTALLED}/ohif/dist`, config: 'tools/viewer/app-config.js', archive });
selectors.setTestIdAttribute('data-cy');
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: CHROMIUM });
const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
// Without a GPU all takes long.
page.setDefaultTimeout(180_000);
const complaints = listen(page);
try {
  await page.goto(`${address}/viewer?StudyInstanceUIDs=${report.study_instance_uid}`);
  await page.locator('canvas').first().waitFor();
  await shown(page, 'image of the exam', () => true);
  await checkSegmentation(page);
  await checkLargestLesion(page);
  await photograph(page, 'segmentation');
  await checkPictures(page, report.series_instance_uid);
  await photograph(page, 'summary');
  await checkStructuredReport(page);
} catch (error) {
  check(false, String(error));
  await photograph(page, 'failed');
}
await browser.close();
complaints.forEach((complaint) => console.log(`OHIF   ${complaint.slice(0, 300)}`));
process.exit(failed ? 1 : 0);
