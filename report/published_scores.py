"""What the papers report, to stand beside a run's figures; another test set each.

PSNR in dB and SSIM as published: DPED (Ignatov et al., ICCV 2017), Tables 2 and 3; the
PIRM 2018 challenge report (Ignatov et al., 2018). "SSIM" is the original code's
MS-SSIM.
"""

from dped_build.report.record import PublishedScore

ROWS = (
    ("DPED, Table 2", "iPhone", "SRCNN", 19.27, 0.8992),
    ("DPED, Table 2", "iPhone", "Johnson et al.", 20.32, 0.9161),
    ("DPED, Table 2", "iPhone", "DPED", 20.08, 0.9201),
    ("DPED, Table 2", "BlackBerry", "SRCNN", 18.89, 0.9134),
    ("DPED, Table 2", "BlackBerry", "Johnson et al.", 20.11, 0.9298),
    ("DPED, Table 2", "BlackBerry", "DPED", 20.07, 0.9328),
    ("DPED, Table 2", "Sony", "SRCNN", 21.21, 0.9382),
    ("DPED, Table 2", "Sony", "Johnson et al.", 21.33, 0.9434),
    ("DPED, Table 2", "Sony", "DPED", 21.81, 0.9437),
    ("DPED, Table 3", "iPhone", "content + texture loss", 19.05, 0.9166),
    ("DPED, Table 3", "iPhone", "MSE + texture loss", 20.11, 0.9125),
    ("DPED, Table 3", "iPhone", "MSE loss", 20.56, 0.9198),
    ("PIRM 2018", "iPhone", "fast network (de Stoutz et al.)", 21.65, 0.9048),
    ("PIRM 2018", "iPhone", "DPED", 21.38, 0.9034),
)
PUBLISHED = [PublishedScore(*row) for row in ROWS]
