// Ticks of a logarithmic axis, as short as they can be. Mantine's charts look for functions here.
window.dashMantineFunctions = window.dashMantineFunctions || {};
window.dashMantineFunctions.lossTick = value => (value === 0 ? "0" : Number(value).toPrecision(2).replace(/\.?0+(e|$)/, "$1"));
