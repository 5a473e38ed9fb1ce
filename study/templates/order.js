// Which questions a participant is asked, in which order: all of it from one seed.
const study = JSON.parse(document.getElementById("data").textContent);

// Numbers in [0, 1) from a counter whose bits are mixed (two xor-multiply rounds).
function numbersFrom(seed) {
  let counter = seed >>> 0;
  return () => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(counter ^ (counter >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

function shuffled(list, random) {
  const result = [...list];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [result[last], result[other]] = [result[other], result[last]];
  }
  return result;
}

// The questions of whole couples of blocks, each couple turned or not, and cut to size:
// so every comparison is asked as often as any other, each way round, give or take one.
function questionsOf(random) {
  const blocks = shuffled(study.couples, random).flatMap((couple) => {
    const turned = random() < 0.5;
    return couple.map((block) => shuffled(block, random).map(([scene, ...shown]) =>
      ({ scene, shown: turned ? shown.reverse() : shown, repeat: false })));
  });
  return shuffled(blocks.flat().slice(0, study.questions), random);
}

// No scene twice in a row, where another question can come first.
function apart(questions) {
  const list = [...questions];
  for (let at = 1; at < list.length; at++) {
    if (list[at].scene !== list[at - 1].scene) continue;
    const other = list.findIndex((question, number) =>
      number > at && question.scene !== list[at].scene);
    if (other > 0) [list[at], list[other]] = [list[other], list[at]];
  }
  return list;
}

// Some questions of the first half come again in the second, sides swapped.
function withRepeats(questions, random) {
  const half = Math.ceil(questions.length / 2);
  const again = shuffled(questions.slice(0, half), random).slice(0, study.repeats);
  const list = [...questions];
  for (const { scene, shown } of again) {
    const free = [];
    for (let place = half + 1; place <= list.length; place++) {
      if (list[place - 1].scene !== scene && list[place]?.scene !== scene) free.push(place);
    }
    const place = free.length ? free[Math.floor(random() * free.length)] : list.length;
    list.splice(place, 0, { scene, shown: [...shown].reverse(), repeat: true });
  }
  return list;
}

function questionsFrom(seed) {
  const random = numbersFrom(seed);
  return withRepeats(apart(questionsOf(random)), random);
}
