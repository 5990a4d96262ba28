mod bypass;
mod entrance;
mod entry;
mod fixture;
mod others;
mod plan;
mod rules;
mod verdicts;
